//! What users read when they use the macros wrongly.
//!
//! Each file under `ui` is compiled and its errors are compared with the file
//! beside it; `TRYBUILD=overwrite` writes those anew.

#![allow(missing_docs, reason = "a test program")]

#[rustversion::attr(
    before(1.95),
    ignore = "older compilers word their own part differently"
)]
#[test]
fn errors_name_the_fix() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}

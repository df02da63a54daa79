//! The command `asyncwatch`, as a program of the package that tests it.

use std::process::ExitCode;

fn main() -> ExitCode {
    asyncwatch_dashboard::main()
}

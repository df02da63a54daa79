//! The committed code under `src/generated` is what the proto files say.
//!
//! `UPDATE=1 cargo test -p asyncwatch-wire --test fresh` writes it anew. protox
//! compiles the protos, so no `protoc` is needed.

use std::{fs, path::Path};

use prost::Message as _;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/generated");
    let fresh = std::env::temp_dir().join(format!("asyncwatch-wire-{}", std::process::id()));
    fs::create_dir_all(&fresh).expect("temporary directory");
    generate(root, &fresh);

    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&committed).expect("src/generated");
        for name in NAMES {
            fs::copy(fresh.join(name), committed.join(name)).expect("copy generated code");
        }
    }
    for name in NAMES {
        let want = fs::read(fresh.join(name)).expect("generated just now");
        let have = fs::read(committed.join(name)).unwrap_or_default();
        assert!(
            want == have,
            "{name} is stale: run `UPDATE=1 cargo test -p asyncwatch-wire --test fresh`"
        );
    }
    fs::remove_dir_all(&fresh).expect("remove temporary directory");
}

const NAMES: [&str; 2] = ["asyncwatch.v1.rs", "descriptor.bin"];

fn generate(root: &Path, out: &Path) {
    let proto = root.join("proto");
    let files = protox::compile(["asyncwatch.proto"], [&proto]).expect("proto compiles");
    fs::write(out.join("descriptor.bin"), files.encode_to_vec()).expect("write descriptor");
    tonic_prost_build::configure()
        .out_dir(out)
        .build_client(true)
        .build_server(true)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .compile_fds(files)
        .expect("code generation");
}

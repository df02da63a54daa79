//! `cargo asyncwatch …`: Cargo runs this for its unknown command `asyncwatch`.

fn main() -> std::process::ExitCode {
    asyncwatch_dashboard::main()
}

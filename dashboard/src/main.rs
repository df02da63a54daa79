//! The `asyncwatch` command.

fn main() -> std::process::ExitCode {
    asyncwatch_dashboard::main()
}

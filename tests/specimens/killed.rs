//! The program dies without a chance to say good-bye, right after a slow poll.
//!
//! Expected: the `slow-poll` at the culprit line is on record all the same, because it
//! was reported while it lasted. The argument says how to die: `kill` or `abort`.

use std::{env, process, thread, time::Duration};

use rustix::process::{Signal, getpid, kill_process};

#[asyncwatch::main]
async fn main() {
    let how = env::args().nth(1).expect("say how to die: kill or abort");
    let task = asyncwatch::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT
    });
    task.await.expect("the task ends well");
    match how.as_str() {
        "kill" => kill_process(getpid(), Signal::KILL).expect("a process may kill itself"),
        "abort" => process::abort(),
        other => panic!("unknown way to die: {other}"),
    }
}

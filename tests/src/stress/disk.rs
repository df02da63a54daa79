//! Processes that keep the disk busy: they write and wait until it is written.

use std::{
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

/// They are ended when this is dropped.
pub(crate) struct Writers(Vec<Child>);

/// Starts so many, which write below `directory`.
pub(crate) fn start(count: u32, directory: &Path) -> io::Result<Writers> {
    let mut writers = Writers(Vec::new());
    for number in 0..count {
        let file = directory.join(format!("written-{number}"));
        let child = Command::new("sh")
            .arg("-c")
            .arg(
                "while :; do dd if=/dev/zero of=\"$0\" bs=1M count=64 conv=fsync 2>/dev/null; done",
            )
            .arg(file)
            .stdin(Stdio::null())
            .spawn()?;
        writers.0.push(child);
    }
    Ok(writers)
}

impl Drop for Writers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have been ended by whoever stops the whole group.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//! Processes that keep the CPUs busy, so that the specimens have to share them.

use std::{
    io,
    process::{Child, Command, Stdio},
};

/// They are ended when this is dropped.
pub(crate) struct Burners(Vec<Child>);

/// Starts so many.
pub(crate) fn start(count: u32) -> io::Result<Burners> {
    let mut burners = Burners(Vec::new());
    for _ in 0..count {
        let child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn()?;
        burners.0.push(child);
    }
    Ok(burners)
}

impl Drop for Burners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have been ended by whoever stops the whole group.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

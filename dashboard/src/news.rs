//! What the sampler sees, for those who watch meanwhile: the report has it all.

use asyncwatch_findings::{Finding, ProcessInfo};

#[derive(Debug)]
pub(crate) enum News {
    /// A program with tokio inside, which does not watch itself.
    Program(Box<ProcessInfo>),
    /// What was found in a process, as far as it is known.
    Finding { pid: u32, finding: Box<Finding> },
}

impl News {
    pub(crate) fn pid(&self) -> u32 {
        match self {
            News::Program(info) => info.pid,
            News::Finding { pid, .. } => *pid,
        }
    }
}

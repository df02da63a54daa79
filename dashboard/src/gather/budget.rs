//! How much is kept in memory at most, over all report streams.

use std::{collections::HashSet, ffi::OsString};

/// Findings are distinct problems; a thousand of them is more than anyone reads,
/// and each may take some 100 KB with its stacks.
const FINDINGS_MAX: usize = 2_000;

/// Counts what is kept and what is left out.
#[derive(Debug, Default)]
pub(super) struct Budget {
    findings: usize,
    findings_left_out: u64,
    streams_left_out: HashSet<OsString>,
}

impl Budget {
    /// Whether one more finding may be kept; counted either way.
    pub(super) fn take_finding(&mut self) -> bool {
        let fits = self.findings < FINDINGS_MAX;
        if fits {
            self.findings += 1;
        } else {
            self.findings_left_out += 1;
        }
        fits
    }

    pub(super) fn give_back_finding(&mut self) {
        self.findings = self.findings.saturating_sub(1);
    }

    pub(super) fn leave_out_stream(&mut self, name: OsString) {
        self.streams_left_out.insert(name);
    }

    pub(super) fn left_out(&self) -> u64 {
        self.findings_left_out + self.streams_left_out.len() as u64
    }
}

//! A control group that gives its processes only a part of a CPU.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// The kernel hands out the quota anew this often.
const PERIOD_US: u32 = 100_000;

/// The group; removed when this is dropped.
pub(crate) struct Quota(PathBuf);

impl Quota {
    /// `percent` of one CPU.
    pub(crate) fn of(percent: u32) -> anyhow::Result<Quota> {
        if percent == 0 {
            bail!("none was asked for");
        }
        let quota_us = PERIOD_US / 100 * percent;
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("asyncwatch-stress-{}", std::process::id());
        let version_2 = root.join("cgroup.controllers").exists();
        let group = if version_2 {
            root.join(name)
        } else {
            root.join("cpu").join(name)
        };
        fs::create_dir(&group)
            .with_context(|| format!("cannot make a control group in {}", root.display()))?;
        let quota = Quota(group);
        if version_2 {
            quota.write("cpu.max", &format!("{quota_us} {PERIOD_US}"))?;
        } else {
            quota.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
            quota.write("cpu.cfs_quota_us", &quota_us.to_string())?;
        }
        Ok(quota)
    }

    fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.0.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A command that runs `program` in the group; arguments may be added.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(self.0.join("cgroup.procs"))
            .arg(program);
        command
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Something that was left running keeps it.
        let _ = fs::remove_dir(&self.0);
    }
}

//! As whom a child runs, and what happens to it when its owner is killed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::binaries::on_path;
use crate::error::Error;

/// A user of this machine, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account to run Postgres as: `None` is ourselves. Postgres refuses root, so root must
    /// name somebody else.
    pub(crate) fn for_postgres() -> Result<Option<Account>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    /// Gives a file or folder, with everything in it, to this account.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
            chown(path, Some(self.uid), Some(self.gid))
        } else {
            lchown(path, Some(self.uid), Some(self.gid))
        }
    }
}

/// A command that runs `program` as `account` (`None`: ourselves) and, where `setpriv` can do it,
/// dies by the named signal when the thread that spawned it ends.
pub(crate) fn command(program: &Path, account: Option<Account>, death_signal: &str) -> Command {
    let Some(setpriv) = setpriv() else {
        let mut command = Command::new(program);
        if let Some(account) = account {
            command.gid(account.gid).uid(account.uid);
        }
        return command;
    };
    let mut command = Command::new(setpriv);
    if let Some(account) = account {
        command
            .arg(format!("--reuid={}", account.uid))
            .arg(format!("--regid={}", account.gid))
            .arg("--clear-groups");
    }
    command
        .args(["--pdeathsig", death_signal, "--"])
        .arg(program);
    command
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account { uid, gid })
    })
}

/// util-linux's `setpriv`, if it is here. Busybox's namesake cannot set the signal, hence the
/// trial.
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let program = on_path(OsStr::new("setpriv"), std::env::var_os("PATH").as_deref())
                .or_else(|| Some("/usr/bin/setpriv".into()))
                .filter(|path: &std::path::PathBuf| path.is_file())?;
            let works = Command::new(&program)
                .args(["--pdeathsig", "TERM", "--"])
                .arg(&program)
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
            works.then_some(program)
        })
        .as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/sh\nbad:x\n";
        assert_eq!(
            find(passwd, "postgres"),
            Some(Account { uid: 101, gid: 104 })
        );
        assert_eq!(find(passwd, "root"), None, "root is never an answer");
        assert_eq!(find(passwd, "bad"), None);
        assert_eq!(find(passwd, "post"), None);
    }
}

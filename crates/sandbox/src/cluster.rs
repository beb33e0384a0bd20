//! Data folders: made by `initdb`, or copied from one that was made before with the same options.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::account::{self, Account};
use crate::binaries::Binaries;
use crate::error::{Doing, Error};
use crate::postgres::Auth;

/// What a fresh cluster depends on.
pub(crate) struct Cluster<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) account: Option<Account>,
    pub(crate) user: &'a str,
    pub(crate) auth: &'a Auth,
}

impl Cluster<'_> {
    /// Makes `data` a fresh cluster. With a cache folder, `initdb` (about a second) runs once per
    /// version and options, and later clusters are copies of the first.
    pub(crate) fn create(&self, data: &Path, cache: Option<&Path>) -> Result<(), Error> {
        let Some(cache) = cache else {
            return self.initdb(data);
        };
        let template = self.template(cache)?;
        copy_tree(&template, data).doing(|| format!("copy {}", template.display()))?;
        if let Some(account) = self.account {
            account
                .give(data)
                .doing(|| format!("give {} away", data.display()))?;
        }
        Ok(())
    }

    /// The template in the cache, made now when it is missing. A file lock lets one process make it
    /// while the others wait; a rename makes it appear whole.
    fn template(&self, cache: &Path) -> Result<PathBuf, Error> {
        let key = self.key()?;
        let template = cache.join(&key);
        if template.is_dir() {
            return Ok(template);
        }
        let doing = || format!("prepare {}", cache.display());
        fs::create_dir_all(cache).doing(doing)?;
        fs::set_permissions(cache, fs::Permissions::from_mode(0o700)).doing(doing)?;
        let lock = File::create(cache.join(format!("{key}.lock"))).doing(doing)?;
        lock.lock().doing(doing)?;
        if template.is_dir() {
            return Ok(template);
        }
        // Made in the system's temporary folder, where the unprivileged user can reach it, and
        // copied from there, so that the template belongs to us.
        let made = tempfile::Builder::new()
            .prefix("paceline-initdb-")
            .tempdir()
            .doing(doing)?;
        if let Some(account) = self.account {
            account.give(made.path()).doing(doing)?;
        }
        self.initdb(&made.path().join("data"))?;
        let copied = tempfile::Builder::new()
            .prefix("new-")
            .tempdir_in(cache)
            .doing(doing)?;
        copy_tree(&made.path().join("data"), &copied.path().join("data")).doing(doing)?;
        fs::rename(copied.path().join("data"), &template).doing(doing)?;
        Ok(template)
    }

    fn key(&self) -> Result<String, Error> {
        let mut hasher = DefaultHasher::new();
        (
            self.binaries.version()?,
            self.binaries.folder(),
            self.user,
            self.auth,
        )
            .hash(&mut hasher);
        Ok(format!("cluster-{:016x}", hasher.finish()))
    }

    fn initdb(&self, data: &Path) -> Result<(), Error> {
        let parent = data.parent().unwrap_or(Path::new("/"));
        let mut arguments: Vec<OsString> = [
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--auth-local=trust",
        ]
        .map(OsString::from)
        .into();
        arguments.push(format!("--username={}", self.user).into());
        arguments.push(format!("--auth-host={}", self.auth.method()).into());
        let password_file = parent.join("initdb-password");
        if let Auth::Scram { password } = self.auth {
            let doing = || "write the password file".to_owned();
            fs::write(&password_file, format!("{password}\n")).doing(doing)?;
            fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600)).doing(doing)?;
            if let Some(account) = self.account {
                account.give(&password_file).doing(doing)?;
            }
            arguments.push("--pwfile".into());
            arguments.push(password_file.clone().into());
        }
        let output = account::command(&self.binaries.folder().join("initdb"), self.account, "KILL")
            .args(arguments)
            .arg("-D")
            .arg(data)
            .current_dir(parent)
            .env_remove("PGDATA")
            .env("LC_ALL", "C")
            .output()
            .doing(|| "run initdb".into())?;
        if matches!(self.auth, Auth::Scram { .. }) {
            fs::remove_file(&password_file).doing(|| "remove the password file".into())?;
        }
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(Error::Initdb(
            stderr.split_whitespace().collect::<Vec<_>>().join(" "),
        ))
    }
}

/// Copies folders and plain files: a fresh cluster has nothing else. Folders are private, as
/// Postgres demands.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

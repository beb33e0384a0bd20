//! Servers that follow another one.

use std::fs;
use std::path::Path;

use super::{PrivatePostgres, append};
use crate::account;
use crate::error::{Doing, Error};

impl PrivatePostgres {
    /// A hot standby of this server, which must run: a copy of its data that follows it by streaming, on a port of its own.
    /// `SELECT pg_promote()` makes it a primary.
    ///
    /// # Errors
    ///
    /// The copy cannot be made, or does not start.
    pub fn standby(&self) -> Result<PrivatePostgres, Error> {
        let mut standby = PrivatePostgres::unmade(self.options.clone())?;
        let program = self.binaries.tool("pg_basebackup")?;
        let output = account::command(&program, standby.account, "KILL")
            .args(["--no-sync", "--checkpoint=fast"])
            .args(["--dbname", &self.url("postgres")])
            .arg("--pgdata")
            .arg(standby.data_folder())
            .current_dir(standby.folder.path())
            .env("LC_ALL", "C")
            .output()
            .doing(|| "run pg_basebackup".into())?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Error::BaseBackup(stderr.trim().to_owned()));
        }
        // A tool that is newer than the server would name options that the server does not know.
        standby.follow(self)?;
        standby.start_on_a_free_port()?;
        Ok(standby)
    }

    /// From its next start on, this server is a standby of that one. It must have been stopped in order while it was the
    /// primary of that one, so that it has nothing that the other has not.
    ///
    /// # Errors
    ///
    /// Its files cannot be written.
    pub fn follow(&self, primary: &PrivatePostgres) -> Result<(), Error> {
        let data = self.data_folder();
        let url = primary.url("postgres").replace('\'', "''");
        append(
            &data.join("postgresql.auto.conf"),
            &format!("primary_conninfo = '{url}'\n"),
        )?;
        let signal = data.join("standby.signal");
        let doing = |path: &Path| format!("write {}", path.display());
        fs::write(&signal, "").doing(|| doing(&signal))?;
        if let Some(account) = self.account {
            account.give(&signal).doing(|| doing(&signal))?;
        }
        Ok(())
    }
}

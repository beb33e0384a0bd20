//! Servers that follow another one.

use std::fs;
use std::path::Path;

use super::{PrivatePostgres, append};
use crate::cluster::copy_tree;
use crate::error::{Doing, Error};

impl PrivatePostgres {
    /// A hot standby of this server: a copy of its data that follows it by streaming, on a port of its own. This one is stopped
    /// for as long as the copy takes. `SELECT pg_promote()` makes the standby a primary.
    ///
    /// # Errors
    ///
    /// The copy cannot be made, or one of the two does not start.
    pub fn standby(&mut self) -> Result<PrivatePostgres, Error> {
        let mut standby = PrivatePostgres::unmade(self.options.clone())?;
        // No pg_basebackup: the one that is installed may be older than the server.
        self.stop();
        let (from, to) = (self.data_folder(), standby.data_folder());
        copy_tree(&from, &to).doing(|| format!("copy {}", from.display()))?;
        if let Some(account) = standby.account {
            let doing = || format!("give {} away", to.display());
            account.give(&to).doing(doing)?;
        }
        standby.follow(self)?;
        self.restart()?;
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

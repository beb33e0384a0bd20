//! The users that the configuration and the `userlist` file name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Credential;
use super::secret::Secret;
use super::userlist;
use crate::config::Config;
use crate::error::Error;
use crate::tls::warn_if_readable_by_others;

/// Users by name. Those of the configuration win over those of the file.
#[derive(Default)]
pub(super) struct Users(HashMap<Box<str>, Arc<Secret>>);

impl Users {
    /// Reads the file.
    pub(super) fn read(config: &Config) -> Result<Self, Error> {
        let mut users = match &config.client_auth.userlist {
            Some(path) => read(path)?,
            None => HashMap::new(),
        };
        for user in &config.users {
            if let Some(password) = &user.password {
                let secret = Arc::new(Secret::parse(password));
                users.insert(user.name.as_str().into(), secret);
            }
        }
        Ok(Self(users))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Secret>> {
        self.0.get(name)
    }
}

/// What the role that looks users up is given.
pub(super) fn looker(config: &Config) -> Result<Credential, Error> {
    let query = &config.client_auth.query;
    let Some(path) = &query.password_file else {
        return Ok(Credential::of_password(query.password.as_deref()));
    };
    let text = std::fs::read_to_string(path).map_err(|error| Error::PasswordFile {
        path: path.clone(),
        reason: format!("it could not be read: {error}"),
    })?;
    warn_if_readable_by_others(path);
    Ok(Credential::of_password(Some(
        text.trim_end_matches(['\r', '\n']),
    )))
}

fn read(path: &Path) -> Result<HashMap<Box<str>, Arc<Secret>>, Error> {
    let failed = |reason: String| Error::Userlist {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| failed(format!("it could not be read: {error}")))?;
    warn_if_readable_by_others(path);
    let users = userlist::parse(&text).map_err(|error| failed(error.to_string()))?;
    let users = users
        .into_iter()
        .map(|(name, secret)| (name.into(), Arc::new(Secret::parse(&secret))));
    Ok(users.collect())
}

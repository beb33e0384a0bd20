//! The users that the configuration and the `userlist` file name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Credential;
use super::secret::Secret;
use super::userlist;
use crate::config::Config;
use crate::files::{self, FileError};

/// Users by name. Those of the configuration win over those of the file.
#[derive(Default)]
pub(crate) struct Users(HashMap<Box<str>, Arc<Secret>>);

impl Users {
    /// Reads the file.
    pub(crate) fn read(config: &Config) -> Result<Self, FileError> {
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
pub(crate) fn looker(config: &Config) -> Result<Credential, FileError> {
    let query = &config.client_auth.query;
    let Some(path) = &query.password_file else {
        return Ok(Credential::of_password(query.password.as_deref()));
    };
    let text = files::read_text("auth_password_file", path)?;
    Ok(Credential::of_password(Some(
        text.trim_end_matches(['\r', '\n']),
    )))
}

fn read(path: &Path) -> Result<HashMap<Box<str>, Arc<Secret>>, FileError> {
    const SETTING: &str = "userlist";
    let text = files::read_text(SETTING, path)?;
    let users = userlist::parse(&text);
    let users = users.map_err(|error| FileError::new(SETTING, path, error.to_string()))?;
    let users = users
        .into_iter()
        .map(|(name, secret)| (name.into(), Arc::new(Secret::parse(&secret))));
    Ok(users.collect())
}

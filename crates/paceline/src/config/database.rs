//! The databases and users of the Postgres half: what is said of each, and what becomes of it.

use std::path::{Path, PathBuf};

use paceline_pgproxy::{ANY, Database, DatabaseUrl, User};

use super::check::{Check, Secret};
use super::draft::Draft;
use super::keys;
use super::rows::path_of;

/// One `[[postgres.databases]]` while it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct DatabaseDraft {
    /// All that needs no second look.
    pub(super) database: Database,
    pub(super) url: Option<DatabaseUrl>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) password_file: Option<PathBuf>,
}

/// One `[[postgres.users]]` while it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct UserDraft {
    pub(super) user: User,
    pub(super) password_file: Option<PathBuf>,
}

/// Which database findings are looked for in, while it is read.
#[derive(Debug, Clone)]
pub(super) struct LookDraft {
    pub(super) wanted: bool,
    pub(super) url: Option<DatabaseUrl>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) password_file: Option<PathBuf>,
}

impl Default for LookDraft {
    fn default() -> Self {
        Self {
            wanted: true,
            url: None,
            url_file: None,
            password_file: None,
        }
    }
}

/// The paths of the arrays.
pub(super) const DATABASES: &str = "postgres.databases";
pub(super) const USERS: &str = "postgres.users";

/// Takes the main database's URL and password from the files that are named.
pub(super) fn read_main(draft: &mut Draft, check: &mut Check<'_>) {
    let named = Named {
        url: "postgres.url",
        url_file: "postgres.url_file",
        password_file: "postgres.password_file",
    };
    let files = (
        draft.database_file.as_deref(),
        draft.password_file.as_deref(),
    );
    draft.database = named.read(draft.database.take(), files, check);
}

/// Every database that clients may ask for, the main one first.
pub(super) fn all(draft: &Draft, check: &mut Check<'_>) -> Vec<Database> {
    let mut databases: Vec<_> = draft
        .database
        .clone()
        .map(Database::new)
        .into_iter()
        .collect();
    for (number, row) in draft.databases.iter().enumerate() {
        let path = |key| path_of(DATABASES, number, key);
        let named = Named {
            url: &path("url"),
            url_file: &path("url_file"),
            password_file: &path("password_file"),
        };
        let files = (row.url_file.as_deref(), row.password_file.as_deref());
        let failed = check.failed_on(&[named.url, named.url_file]);
        let name = &row.database.name;
        match named.read(row.url.clone(), files, check) {
            Some(mut url) => {
                if !url.names_database && name != ANY {
                    url.database.clone_from(name);
                }
                databases.push(Database {
                    url,
                    ..row.database.clone()
                });
            }
            None if failed || check.failed_on(&[named.url_file]) => {}
            None => check.error(&path("name"), "the database needs a url or a url_file"),
        }
        if let Some(main) = &draft.database
            && main.database == *name
        {
            check.error(
                &path("name"),
                format!("postgres.url is the database {name:?} already"),
            );
        }
    }
    databases
}

/// The database that findings are looked for in: the one that is named for it, or else the first into which we have a login of
/// our own.
pub(super) fn looked_at(
    draft: &Draft,
    databases: &[Database],
    check: &mut Check<'_>,
) -> Option<DatabaseUrl> {
    let named = Named {
        url: "diagnose.database",
        url_file: "diagnose.database_file",
        password_file: "diagnose.password_file",
    };
    let look = &draft.look;
    let files = (look.url_file.as_deref(), look.password_file.as_deref());
    let url = named.read(look.url.clone(), files, check);
    if url.is_none() && look.password_file.is_some() {
        let message = "there is no diagnose.database that it could be the password for";
        check.error(named.password_file, message);
    }
    let is_ours = |one: &&Database| one.name != ANY && one.url.names_user;
    let ours = || databases.iter().find(is_ours).map(|one| one.url.clone());
    url.or_else(ours).filter(|_| look.wanted)
}

/// What holds for single users.
pub(super) fn users(draft: &Draft, check: &mut Check<'_>) -> Vec<User> {
    let mut users = Vec::new();
    for (number, row) in draft.users.iter().enumerate() {
        let mut user = row.user.clone();
        let key = path_of(USERS, number, "password_file");
        if let Some(path) = &row.password_file {
            match check.secret(&key, path) {
                Some(_) if user.password.is_some() => {
                    check.error(&key, "there is a password too: give one of them");
                }
                Some(Secret::Known(password)) => user.password = Some(password),
                Some(Secret::Elsewhere) => user.password = Some(String::new()),
                None => {}
            }
        }
        users.push(user);
    }
    users
}

/// The keys that say where a database is.
struct Named<'k> {
    url: &'k str,
    url_file: &'k str,
    password_file: &'k str,
}

impl Named<'_> {
    fn read(
        &self,
        url: Option<DatabaseUrl>,
        (url_file, password_file): (Option<&Path>, Option<&Path>),
        check: &mut Check<'_>,
    ) -> Option<DatabaseUrl> {
        let mut found = url;
        if let Some(path) = url_file {
            let (url, file) = (check.rank(self.url), check.rank(self.url_file));
            if url == file {
                let message = format!("there is {} too: give one of them", self.url);
                check.error(self.url_file, message);
            } else if file > url {
                let read = check.secret(self.url_file, path);
                match read.map(|secret| secret.map(|text| keys::database_url(&text))) {
                    Some(Secret::Known(Ok(url))) => found = Some(url),
                    Some(Secret::Known(Err(reason))) => check.error(
                        self.url_file,
                        format!("{reason}; expected {} in the file", keys::DATABASE_FORM),
                    ),
                    Some(Secret::Elsewhere) => found = Some(some_database(password_file)),
                    None => {}
                }
            }
        }
        let key = self.password_file;
        match (
            password_file.and_then(|path| check.secret(key, path)),
            &mut found,
        ) {
            (Some(_), Some(url)) if url.password.is_some() => {
                check.error(key, "the URL has a password too: give one of them");
            }
            (Some(Secret::Known(password)), Some(url)) => url.password = Some(password),
            _ => {}
        }
        found
    }
}

/// Stands for the database whose URL cannot be read here, so that everything else can be checked.
fn some_database(password_file: Option<&Path>) -> DatabaseUrl {
    DatabaseUrl {
        host: "database.invalid".to_owned(),
        names_user: true,
        names_database: true,
        password: password_file.is_none().then(String::new),
        ..DatabaseUrl::default()
    }
}

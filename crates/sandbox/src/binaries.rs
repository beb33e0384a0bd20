//! Where Postgres's programs are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Doing, Error};

/// Folders in which distributions keep the server, one `*` standing for any version.
const USUAL_FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
];

/// A folder with Postgres's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Looks on PATH, then in the folders where distributions keep the server (Debian does not put
    /// it on PATH); there the newest version wins.
    pub fn find() -> Result<Binaries, Error> {
        Binaries::find_in(env::var_os("PATH").as_deref(), &USUAL_FOLDERS)
    }

    /// Takes the programs from this folder.
    pub fn in_folder(folder: &Path) -> Result<Binaries, Error> {
        if is_server_folder(folder) {
            Ok(Binaries {
                folder: folder.to_path_buf(),
            })
        } else {
            Err(Error::NoPostgres {
                looked_in: format!("in {}", folder.display()),
            })
        }
    }

    /// Looks in the folders of a PATH-like value, then in those that match the patterns.
    pub fn find_in(path: Option<&OsStr>, patterns: &[&str]) -> Result<Binaries, Error> {
        let on_path = path
            .into_iter()
            .flat_map(env::split_paths)
            .find(|dir| is_server_folder(dir));
        let folder = on_path
            // A link on PATH leads to the folder that has all the other programs too.
            .map(|dir| match dir.join("initdb").canonicalize() {
                Ok(real) => real
                    .parent()
                    .filter(|d| is_server_folder(d))
                    .map_or(dir, Path::to_path_buf),
                Err(_) => dir,
            })
            .or_else(|| {
                patterns
                    .iter()
                    .flat_map(|p| matching(p))
                    .find(|dir| is_server_folder(dir))
            });
        folder
            .map(|folder| Binaries { folder })
            .ok_or_else(|| Error::NoPostgres {
                looked_in: match patterns.first() {
                    Some(first) => format!("on PATH or in {first}"),
                    None => "on PATH".into(),
                },
            })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A client program such as `psql` or `pgbench`: from beside the server, else from PATH.
    pub fn tool(&self, name: &str) -> Result<PathBuf, Error> {
        let beside = self.folder.join(name);
        if beside.is_file() {
            return Ok(beside);
        }
        on_path(OsStr::new(name), env::var_os("PATH").as_deref())
            .ok_or_else(|| Error::NoTool(name.into()))
    }

    /// What `postgres --version` says, such as `postgres (PostgreSQL) 15.13`.
    pub(crate) fn version(&self) -> Result<String, Error> {
        let program = self.folder.join("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .doing(|| format!("run {}", program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether this server can preload `pg_stat_statements`.
    pub(crate) fn has_stat_statements(&self) -> bool {
        let has = |folder: &Path| {
            ["so", "dylib"].iter().any(|e| {
                folder
                    .join("pg_stat_statements")
                    .with_extension(e)
                    .is_file()
            })
        };
        let usual = ["../lib", "../lib/postgresql"];
        if usual.iter().any(|lib| has(&self.folder.join(lib))) {
            return true;
        }
        Command::new(self.folder.join("pg_config"))
            .arg("--pkglibdir")
            .output()
            .is_ok_and(|output| has(Path::new(String::from_utf8_lossy(&output.stdout).trim())))
    }
}

/// The first file of this name in the folders of a PATH-like value.
pub(crate) fn on_path(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    path.into_iter()
        .flat_map(env::split_paths)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn is_server_folder(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// The folders that match a pattern with at most one `*`, the highest version first.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version_number(name)));
    names
        .iter()
        .map(|name| format!("{parent}/{name}{after}").into())
        .collect()
}

/// The first number in a name, in thousandths: `9.6` comes before `15`.
fn version_number(name: &str) -> u64 {
    let digits: String = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let (major, minor) = digits.split_once('.').unwrap_or((&digits, "0"));
    major
        .parse::<u64>()
        .unwrap_or(0)
        .saturating_mul(1000)
        .saturating_add(minor.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake_server(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for program in ["initdb", "postgres"] {
            fs::write(folder.join(program), "").unwrap();
        }
    }

    #[test]
    fn an_empty_path_says_how_to_install() {
        let error = Binaries::find_in(Some(OsStr::new("")), &["/nowhere/*/bin"]).unwrap_err();
        let sentence = error.to_string();
        assert!(
            sentence.contains("were not found on PATH or in /nowhere/*/bin"),
            "{sentence}"
        );
        assert!(sentence.contains("apt install postgresql"), "{sentence}");
        assert!(!sentence.contains('\n'));
    }

    #[test]
    fn the_newest_version_wins() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "14", "junk"] {
            fake_server(&dir.path().join(version).join("bin"));
        }
        let pattern = format!("{}/*/bin", dir.path().display());
        let found = Binaries::find_in(None, &[&pattern]).unwrap();
        assert_eq!(found.folder(), dir.path().join("15/bin"));
    }

    #[test]
    fn path_comes_first_and_links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        fake_server(&dir.path().join("real"));
        fake_server(&dir.path().join("16/bin"));
        fs::create_dir(dir.path().join("links")).unwrap();
        for program in ["initdb", "postgres"] {
            let link = dir.path().join("links").join(program);
            std::os::unix::fs::symlink(dir.path().join("real").join(program), link).unwrap();
        }
        let pattern = format!("{}/*/bin", dir.path().display());
        let path = dir.path().join("links");
        let found = Binaries::find_in(Some(path.as_os_str()), &[&pattern]).unwrap();
        assert_eq!(
            found.folder(),
            dir.path().join("real").canonicalize().unwrap()
        );
    }
}

//! Files that settings name: read whole, and what is wrong with them is told with the setting.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Nobody means to have us read a gigabyte.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A file that a setting names and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{setting} {}: {reason}", path.display())]
pub struct FileError {
    /// The setting, as in the configuration or in a database's URL.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it could not even be read.
    pub is_unreadable: bool,
}

impl FileError {
    /// What is in it is wrong.
    pub(crate) fn new(setting: &'static str, path: &Path, reason: impl Into<String>) -> Self {
        Self {
            setting,
            path: path.to_owned(),
            reason: reason.into(),
            is_unreadable: false,
        }
    }

    fn unreadable(setting: &'static str, path: &Path, error: &io::Error) -> Self {
        Self {
            is_unreadable: true,
            ..Self::new(setting, path, format!("it could not be read: {error}"))
        }
    }
}

/// What is in a file.
pub(crate) fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| FileError::unreadable(setting, path, &error))?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(FileError::new(setting, path, "it is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// The text in a file.
pub(crate) fn read_text(setting: &'static str, path: &Path) -> Result<String, FileError> {
    let text = String::from_utf8(read(setting, path)?);
    text.map_err(|_| FileError::new(setting, path, "it is not UTF-8 text"))
}

/// A file with a secret that others can read as well is worth a word. As for Postgres, the group of a file of root's may.
pub(crate) fn warn_if_readable_by_others(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let forbidden = if metadata.uid() == 0 { 0o007 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        let mode = format!("{:o}", metadata.mode() & 0o777);
        tracing::warn!(path = %path.display(), mode, "Others can read this file, which holds a secret: chmod 600.");
    }
}

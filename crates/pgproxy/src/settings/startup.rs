//! The settings in a startup packet.

use std::collections::BTreeMap;

use crate::error::Refusal;

/// A session setting of these would outlive what the pool can undo: they cannot be reset.
pub(crate) const CANNOT_BE_UNDONE: [&str; 4] = [
    "seed",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
];

/// Names, in lower case, and values.
pub(super) fn read<'p>(
    parameters: impl Iterator<Item = (&'p [u8], &'p [u8])>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut pairs = BTreeMap::new();
    for (name, value) in parameters {
        let name = String::from_utf8_lossy(name);
        let value = std::str::from_utf8(value).map_err(|_| Refusal::setting(&name))?;
        match &*name {
            "user" | "database" => {}
            "replication" if matches!(value, "" | "false" | "off" | "no" | "0") => {}
            "replication" => return Err(Refusal::replication()),
            "options" => add_options(value, &mut pairs)?,
            // The client was told that we do not know these.
            name if name.starts_with("_pq_.") => {}
            name => add(name, value, &mut pairs)?,
        }
    }
    Ok(pairs)
}

fn add(name: &str, value: &str, pairs: &mut BTreeMap<String, String>) -> Result<(), Refusal> {
    let is_identifier = |part: &str| {
        part.bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
    };
    if !name.split('.').all(is_identifier) {
        return Err(Refusal::setting(name));
    }
    let lower = name.to_ascii_lowercase();
    if CANNOT_BE_UNDONE.contains(&&*lower) {
        return Err(Refusal::setting(name));
    }
    pairs.insert(lower, value.to_owned());
    Ok(())
}

/// `-c name=value`, `-cname=value` and `--name=value`, separated by blanks; a backslash takes the next character as it is.
fn add_options(options: &str, pairs: &mut BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut words = split_options(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or_else(|| Refusal::setting("options"))?
        } else if let Some(setting) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            setting.to_owned()
        } else {
            return Err(Refusal::setting(&word));
        };
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Refusal::setting(&setting))?;
        add(&name.replace('-', "_"), value, pairs)?;
    }
    Ok(())
}

fn split_options(options: &str) -> Vec<String> {
    let (mut words, mut word, mut is_word) = (Vec::new(), String::new(), false);
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_ascii_whitespace() => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            '\\' => {
                word.extend(letters.next());
                is_word = true;
            }
            letter => {
                word.push(letter);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_postgres_does() {
        assert_eq!(
            split_options(r"  -c a=b\ c  --d=\\e "),
            ["-c", "a=b c", r"--d=\e"]
        );
    }
}

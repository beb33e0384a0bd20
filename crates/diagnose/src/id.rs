//! Ids that are the same in every run.

/// Rule and names in letters, figures and dashes, and a digest of the whole that tells apart what the letters do not. Does not
/// depend on the process.
pub(crate) fn stable(rule: &str, names: &[&str], whole: &[&str]) -> String {
    let whole = whole.join("\0");
    let digest = fnv1a(whole.as_bytes());
    let digest = (digest >> 32) as u32 ^ digest as u32;
    let mut id = rule.to_owned();
    for name in names
        .iter()
        .map(|name| slug(name))
        .filter(|name| !name.is_empty())
    {
        id.push('.');
        id.push_str(&name);
    }
    format!("{id}.{digest:08x}")
}

/// Lower-case letters and figures; any run of others is one dash; at most 40 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= 40 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// FNV-1a, 64 bits: small, and the same in every version of every program.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_readable_and_plain() {
        let rows = [
            ("GET /jobs/{id}", "get-jobs-id"),
            (
                "SELECT public.jobs, companies",
                "select-public-jobs-companies",
            ),
            ("GET /", "get"),
            ("  ", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(slug(text), expected);
        }
        assert!(slug(&"x".repeat(100)).len() <= 40);
    }

    #[test]
    fn ids_tell_apart_what_slugs_do_not() {
        let id = |text: &str| stable("rule", &[text], &[text]);
        assert_eq!(id("public.a_b"), id("public.a_b"));
        assert_ne!(id("public.a_b"), id("public.a-b"));
        assert!(id("public.a_b").starts_with("rule.public-a-b."));
    }
}

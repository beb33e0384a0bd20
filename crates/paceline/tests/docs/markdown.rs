//! As much of Markdown as these tests need.

use std::path::{Path, PathBuf};

/// A page, with its code apart from its words.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The lines outside of fenced blocks; those inside are empty here.
    pub(crate) words: Vec<String>,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block.
pub(crate) struct Block {
    path: PathBuf,
    /// The line of its first line, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            words: Vec::new(),
            blocks: Vec::new(),
        };
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            page.words.push(String::new());
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block {
                        path: path.to_owned(),
                        line: index + 2,
                        language: language.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => line.clone_into(&mut page.words[index]),
            }
        }
        assert!(open.is_none(), "{}: a fence is left open", path.display());
        page
    }

    pub(crate) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    /// Code in the running text, with the line where it begins. It may go on in the next line, but not in the next
    /// paragraph.
    pub(crate) fn inline_code(&self) -> Vec<(usize, String)> {
        let mut codes = Vec::new();
        let mut open: Option<(usize, String)> = None;
        for (index, line) in self.words.iter().enumerate() {
            if line.is_empty() {
                open = None;
            }
            for (at, part) in line.split('`').enumerate() {
                if at > 0 {
                    match open.take() {
                        Some(code) => codes.push(code),
                        None => open = Some((index + 1, String::new())),
                    }
                }
                if let Some((_, code)) = &mut open {
                    code.push_str(part);
                }
            }
            if let Some((_, code)) = &mut open {
                code.push(' ');
            }
        }
        codes
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.words.iter().filter(|line| line.starts_with('#'));
        headings.map(|heading| slug(heading)).collect()
    }
}

impl Block {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars();
    kept.filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
        .map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

#[test]
fn words_code_and_headings_are_told_apart() {
    let text =
        "# A `b` c?\nsee `paceline\nrun` and `x`\n```sh\npaceline check\n```\n`odd\n\nnew `y`\n";
    let page = Page::new(Path::new("x.md"), text);
    assert_eq!(page.anchors(), ["a-b-c"]);
    assert_eq!(
        (page.blocks[0].line, &*page.blocks[0].text),
        (5, "paceline check\n")
    );
    let codes = page.inline_code();
    let codes: Vec<_> = codes.iter().map(|(line, code)| (*line, &**code)).collect();
    assert_eq!(codes, [(1, "b"), (2, "paceline run"), (3, "x"), (9, "y")]);
}

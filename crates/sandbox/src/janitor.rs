//! What cleans up when the owner of a private server was killed and could not.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits until its standard input closes, which the kernel does when we end, however we end. Then
/// it ends the server of the folder, if one still runs, and removes the folder. In the usual case
/// both are gone by then.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    tries=50
    while [ "$tries" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        tries=$((tries - 1))
    done
    [ "$tries" -gt 0 ] || kill -KILL "$pid" 2>/dev/null
fi
tries=20
while [ "$tries" -gt 0 ] && ! rm -rf -- "$1" 2>/dev/null; do
    sleep 0.1
    tries=$((tries - 1))
done
"#;

#[derive(Debug)]
pub(crate) struct Janitor {
    shell: Child,
}

impl Janitor {
    pub(crate) fn watch_over(folder: &Path) -> io::Result<Janitor> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "paceline-janitor"])
            .arg(folder)
            // So that an absent PATH does not matter to it.
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Janitor { shell })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // The folder is gone: the shell wakes, finds nothing, and ends. Its own waits are bounded.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

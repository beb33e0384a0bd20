//! A real browser without a window: Debian's Chromium, driven through two pipes by the DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>).

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// As the system's administrator Chromium wants no sandbox; it sees nothing but pages of ours. It must not phone home, nor
/// ask for a graphics card or for shared memory that a container does not have.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--no-first-run",
    "about:blank",
];
/// Chromium reads commands from descriptor 3 and writes to 4.
const PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
const PATIENCE: Duration = Duration::from_secs(120);
/// A phone's and a desk's, in pixels.
const WIDTHS: [u32; 2] = [360, 1280];
const UNFOLD: &str = "document.querySelectorAll('details').forEach(one => one.open = true)";

/// A browser with one page. It ends with its owner.
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    next: u64,
    /// What the page said and asked for since it was opened.
    events: Vec<Value>,
    url: String,
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Pixels.
    pub width: u32,
    /// Whether the reader prefers light text on dark ground.
    pub dark: bool,
    /// Whether the page may run scripts.
    pub scripts: bool,
}

impl Browser {
    /// Starts one; panics when there is none.
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let mut process = Command::new("sh")
            .args(["-c", PIPES, "sh"])
            .arg(executable())
            .arg(folder)
            .args(FLAGS)
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(answers.read_until(0, &mut message), Ok(1..)) {
                message.pop();
                let told = serde_json::from_slice(&message).unwrap();
                message.clear();
                if sender.send(told).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser {
            process,
            commands,
            messages,
            session: None,
            next: 0,
            events: Vec::new(),
            url: String::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// How pages are looked at from now on.
    pub fn view(&mut self, view: View) {
        let scheme = if view.dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        let size =
            json!({"width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
        self.call("Emulation.setDeviceMetricsOverride", size);
        let disabled = json!({"value": !view.scripts});
        self.call("Emulation.setScriptExecutionDisabled", disabled);
    }

    /// Opens a file, and waits until it is there.
    pub fn open(&mut self, file: &Path) {
        self.url = format!("file://{}", file.canonicalize().unwrap().display());
        self.events.clear();
        let opened = self.call("Page.navigate", json!({"url": self.url}));
        assert!(opened["errorText"].is_null(), "{opened}");
        let deadline = Instant::now() + PATIENCE;
        while !self
            .events
            .iter()
            .any(|one| one["method"] == "Page.loadEventFired")
        {
            let message = self.receive(deadline);
            self.events.push(message);
        }
    }

    /// What the page did that a quiet one does not: what stands in its console, and what it asked the network for.
    pub fn noise(&mut self) -> Vec<String> {
        // What was under way has been told before the answer to this.
        self.evaluate("0");
        let noise = self.events.iter().filter_map(|event| {
            let told = &event["params"];
            match event["method"].as_str()? {
                "Runtime.consoleAPICalled" => Some(format!("console: {}", told["args"])),
                "Runtime.exceptionThrown" => {
                    Some(format!("exception: {}", told["exceptionDetails"]))
                }
                "Log.entryAdded" => Some(format!("log: {}", told["entry"]["text"])),
                "Network.requestWillBeSent" => {
                    let url = told["request"]["url"].as_str()?;
                    let is_own = url == self.url || url.starts_with("data:");
                    (!is_own).then(|| format!("request: {url}"))
                }
                _ => None,
            }
        });
        noise.collect()
    }

    /// The value of an expression (awaited, if it is a promise), also where the page may not run scripts.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.call("Runtime.evaluate", parameters);
        assert!(told["exceptionDetails"].is_null(), "{told}");
        told["result"]["value"].clone()
    }

    /// Presses a key: `Tab`, `Enter`.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("{other} is not known here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut stroke =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                stroke["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", stroke);
        }
    }

    /// What axe-core has against the page: each violation with the first places where it is. `scripts/setup --tests` installs it.
    #[track_caller]
    pub fn axe(&mut self) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/browser/node_modules/axe-core/axe.min.js");
        let source = fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; run scripts/setup --tests", file.display())
        });
        self.evaluate(&format!("{source};0"));
        let found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(one => \
             one.id + ': ' + one.help + ' ' + one.nodes.slice(0, 3).map(node => node.html + ' ' + node.failureSummary).join(' | ')))",
        );
        let found = found.as_array().unwrap().iter();
        found.map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// What is wrong with the page as it is seen: text beyond its edge, text too small, headings out of order.
    #[track_caller]
    pub fn faults(&mut self) -> Vec<String> {
        let found = self.evaluate(include_str!("browser/faults.js"));
        let found = found.as_array().unwrap().iter();
        found.map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// Fails unless a page is quiet and readable at phone and desk width, in light and dark, folded and unfolded, with its own
    /// scripts forbidden, and axe has nothing against it. Axe looks at two of the four views, or at all.
    ///
    /// With `PACELINE_SCREENSHOTS` set to a folder a picture of each view is put there.
    #[track_caller]
    pub fn look_everywhere(&mut self, file: &Path, axe_at_all: bool) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for (width, dark) in WIDTHS.iter().flat_map(|w| [(*w, false), (*w, true)]) {
            let view = |scripts| View {
                width,
                dark,
                scripts,
            };
            let seen = format!("{name} at {width} px, dark: {dark}");
            self.view(view(false));
            self.open(file);
            assert_eq!(self.faults(), [""; 0], "{seen}");
            if let Some(folder) = std::env::var_os("PACELINE_SCREENSHOTS") {
                let picture = format!("{name}-{width}-{}.png", if dark { "dark" } else { "light" });
                self.screenshot(&Path::new(&folder).join(picture));
            }
            assert_eq!(self.noise(), [""; 0], "{seen}");
            // What is folded away must be as good as what is not.
            self.evaluate(UNFOLD);
            assert_eq!(self.faults(), [""; 0], "{seen}, unfolded");
            // Axe is a script itself.
            if axe_at_all || dark == (width == WIDTHS[0]) {
                self.view(view(true));
                self.open(file);
                self.evaluate(UNFOLD);
                assert_eq!(self.axe(), [""; 0], "{seen}");
            }
        }
    }

    /// Saves a picture of the whole page.
    pub fn screenshot(&mut self, file: &Path) {
        let picture = self.call(
            "Page.captureScreenshot",
            json!({"captureBeyondViewport": true}),
        );
        let bytes = BASE64.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    /// The page as it would be printed, as a PDF.
    pub fn print(&mut self) -> Vec<u8> {
        let printed = self.call("Page.printToPDF", json!({}));
        BASE64.decode(printed["data"].as_str().unwrap()).unwrap()
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut command = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline);
            if message["id"] == self.next {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    fn receive(&mut self, deadline: Instant) -> Value {
        let patience = deadline.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(patience) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("the browser says nothing any more"),
            Err(RecvTimeoutError::Disconnected) => panic!("the browser ended"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn executable() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    found.expect("a Chromium; `scripts/setup --tests` installs it")
}

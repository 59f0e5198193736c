//! README and the guide (`docs/guide`) are followed line by line.
//!
//! Each page is run in an empty folder and in a network namespace of its own, so that it uses the ports that it names. A fenced
//! block's info string says what becomes of it:
//!
//! - `sh`: the block is run as it is written, by `sh -eu`, and must succeed.
//! - `sh,exit=3`: it must end with that exit code.
//! - `sh,repeat`: it looks at something that comes by itself, and is run again until it prints what the page says.
//! - `sh,terminal=server`: it is run in a terminal of its own, and goes on. A later block with the same terminal comes after Ctrl-C.
//! - `sh,ctrl-c=server`: it is run after Ctrl-C in that terminal.
//! - `sh,needs=zephyr`: it is not run, since it needs something that this project does not build. [`FOREIGN`] has all such names.
//! - `sh,needs=postgresql`: it is run if PostgreSQL is installed, which then listens at its usual port.
//! - `text`: what the block before prints. `…` stands for any text of a line, and alone in a line for any number of lines. Blanks
//!   count as one. Of a terminal it is what it shows first, and the page goes on when it has shown it.
//! - `text,figure`: a drawing.
//! - any language with `file=NAME`: the file that the reader saves under this name.
//!
//! A page that begins with `<!-- after: PAGE -->` goes on in the folder and with the terminals of that page.
//!
//! `buoy` is the program that was built with the tests. `cargo` is a script that takes `cargo install --locked --path crates/buoy` as
//! done, for that builds what is built already.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a block may need that is not built here.
const FOREIGN: [&str; 9] =
    ["anjay", "board", "container", "debian", "esp-idf", "leshan", "mdbook", "server", "zephyr"];
/// In the environment of the process that follows a page in its namespace: the flags by which that was made.
const INSIDE: &str = "BUOY_DOCS_INSIDE";
/// For a block, and for what a terminal is to show.
const PATIENCE: Duration = Duration::from_secs(60);

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];
        $(#[test]
        fn $name() {
            follow_isolated(stringify!($name), $path);
        })*
    };
}

pages! {
    the_readme_can_be_followed: "README.md",
    the_quick_start_can_be_followed: "docs/guide/src/quick-start.md",
    the_concepts_can_be_tried: "docs/guide/src/concepts.md",
    devices_can_be_connected_as_the_guide_says: "docs/guide/src/connect.md",
    access_can_be_set_up_as_the_guide_says: "docs/guide/src/access.md",
    security_can_be_set_up_as_the_guide_says: "docs/guide/src/security.md",
    firmware_can_be_updated_as_the_guide_says: "docs/guide/src/firmware.md",
    an_esp32_is_set_up_as_the_guide_says: "docs/guide/src/esp32.md",
    a_board_can_be_ported_as_the_guide_says: "docs/guide/src/port-a-board.md",
    many_devices_are_handled_as_the_guide_says: "docs/guide/src/fleet.md",
    alerts_reach_people_as_the_guide_says: "docs/guide/src/alerts.md",
    the_command_line_behaves_as_the_guide_says: "docs/guide/src/command-line.md",
    the_program_is_installed_as_the_guide_says: "docs/guide/src/install.md",
    the_settings_are_those_of_the_program: "docs/guide/src/configuration.md",
    a_server_can_be_operated_as_the_guide_says: "docs/guide/src/operation.md",
    the_web_page_is_where_the_guide_says: "docs/guide/src/web.md",
    leshans_calls_work_as_the_guide_says: "docs/guide/src/leshan.md",
    troubles_look_as_the_guide_says: "docs/guide/src/trouble-shooting.md",
}

#[test]
fn each_page_is_followed_and_each_chapter_is_in_the_summary() {
    let folder = repository().join("docs/guide/src");
    let mut there: BTreeSet<String> = BTreeSet::from(["README.md".to_owned()]);
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        assert!(summary.contains(&format!("({name})")), "SUMMARY.md has no {name}");
        there.insert(format!("docs/guide/src/{name}"));
    }
    assert_eq!(there, PAGES.iter().map(|page| (*page).to_owned()).collect());
}

#[test]
fn links_between_pages_lead_to_files() {
    for page in PAGES.iter().copied().chain(["docs/guide/src/SUMMARY.md"]) {
        let path = repository().join(page);
        for target in links(&fs::read_to_string(&path).unwrap()) {
            assert!(path.parent().unwrap().join(&target).exists(), "{page} has a link to {target}");
            // The book has its own files only.
            assert!(
                page == "README.md" || !target.contains('/'),
                "{page} has a link to {target}, outside of the book"
            );
        }
    }
}

#[test]
fn blocks_are_read_with_their_info_strings() {
    let page = "Do\n\n```sh,terminal=server\nbuoy serve\n```\n```text\nREST …\n```\n```toml,file=a.toml\nb = 1\n```\n\
        ```sh,exit=3,ctrl-c=server\nfalse\n```\n```text,figure\n--\n```\n";
    let blocks = blocks(page).unwrap();
    let lines: Vec<usize> = blocks.iter().map(|block| block.line).collect();
    assert_eq!(lines, [3, 9, 12]);
    assert!(matches!(&blocks[0].task, Task::Run { how: How::In(terminal), expected: Some(text), .. }
        if terminal == "server" && text == "REST …\n"));
    assert!(
        matches!(&blocks[1].task, Task::Save { name, content } if name == "a.toml" && content == "b = 1\n")
    );
    assert!(matches!(&blocks[2].task, Task::Run { how: How::ToTheEnd { code: 3 }, ctrl_c: Some(name), .. }
        if name == "server"));
}

#[test]
fn a_block_that_would_be_passed_over_is_an_error() {
    for (page, reason) in [
        ("```console\n$ buoy\n```\n", "`console`"),
        ("```bash\nbuoy\n```\n", "`bash`"),
        ("```\nbuoy\n```\n", "no language"),
        ("```sh,need=zephyr\nwest\n```\n", "`need=zephyr`"),
        ("```sh,needs=patience\nbuoy\n```\n", "`needs=patience`"),
        ("```text\nit says\n```\n", "no block before"),
        ("```sh\nbuoy\n", "no end"),
        ("Type\n\n    buoy serve\n", "fence"),
    ] {
        let error = blocks(page).err().unwrap_or_else(|| panic!("{page:?} is read"));
        assert!(error.contains(reason), "{page:?}: {error}");
    }
}

#[test]
fn an_ellipsis_stands_for_text_or_for_lines() {
    let said = "Store      ./data/buoy.db\nREST  http://127.0.0.1:8080\n\nended\n";
    for expected in ["Store ./data/buoy.db\n…\nended", "Store …\nREST http://…:8080\n\nended\n", "…\nended\n"]
    {
        assert!(is_as_expected(expected, said), "{expected}");
    }
    for expected in ["Store ./data\n…\n", "…\nREST …\n", "REST …\n…\n", ""] {
        assert!(!is_as_expected(expected, said), "{expected}");
    }
}

#[test]
fn what_a_page_says_wrongly_is_found() {
    for (page, reason) in [
        ("```sh\necho a\n```\n```text\nb\n```\n", "page:1: it prints\na\n"),
        ("```sh\ntrue\nfalse\ntrue\n```\n", "page:1: it ends with 1"),
        ("```sh,exit=3\ntrue\n```\n", "page:1: it ends with 0"),
        ("```sh,terminal=a\nexit 1\n```\n```text\nready\n```\n", "page:1: it ended"),
        ("```sh\necho $unset\n```\n", "page:1: it ends with 2"),
        ("```sh\ncargo build\n```\n", "no `cargo build`"),
    ] {
        let error = Reader::new().follow("page", page).expect_err(page);
        assert!(error.contains(reason), "{page:?}: {error}");
    }
}

#[test]
fn a_page_is_run_with_its_files_and_terminals() {
    let page = "```text,figure\n-\n```\n```sh,terminal=a\necho ready\nsleep 600\n```\n```text\nready\n```\n\
        ```toml,file=x.toml\na = 1\n```\n```sh\ncat x.toml; buoy --version; cargo install --locked --path crates/buoy\n```\n\
        ```text\na = 1\nbuoy …\n```\n```sh,needs=zephyr\nwest build\n```\n```sh,ctrl-c=a\necho done\n```\n";
    let mut reader = Reader::new();
    reader.follow("page", page).unwrap();
    reader.end().unwrap();
    assert!(reader.terminals.is_empty());
    assert_eq!(reader.passed_over, ["page:21 (needs zephyr)"]);
}

/// Follows a page in a process that is alone in its network.
fn follow_isolated(test: &str, page: &str) {
    if std::env::var_os(INSIDE).is_some() {
        let mut reader = Reader::new();
        if let Err(error) = reader.follow_file(page).and_then(|()| reader.end()) {
            panic!("{error}");
        }
        for block in &reader.passed_over {
            println!("not run: {block}");
        }
        return;
    }
    let works = |flags: &str| {
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", "ip link set lo up"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // Root needs no user namespace, and without one can become the user of PostgreSQL.
    let Some(flags) = ["-n", "-rn"].into_iter().find(|flags| works(flags)) else {
        return skip(
            "`unshare` makes no network here; run as root or allow user namespaces, and apt-get install util-linux iproute2",
        );
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    if !["curl", "jq", "openssl"].iter().all(is_there) {
        return skip("apt-get install curl jq openssl");
    }
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(INSIDE, flags);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines().filter(|line| line.starts_with("not run: ")) {
        println!("{line}");
    }
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Not where tests must not be skipped.
fn skip(how_to_get: &str) {
    assert!(std::env::var_os("CI").is_none(), "{how_to_get}");
    println!("skipped: {how_to_get}");
}

/// A fenced block that asks for something.
#[derive(Debug)]
struct Block {
    line: usize,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Save { name: String, content: String },
    Run { script: String, how: How, ctrl_c: Option<String>, needs: Option<String>, expected: Option<String> },
}

#[derive(Debug)]
enum How {
    ToTheEnd { code: i32 },
    UntilAsExpected,
    In(String),
}

/// The blocks of a page that ask for something.
fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut before = "";
    while let Some((number, line)) = lines.next() {
        let line_number = number + 1;
        if line.starts_with("    ") && before.is_empty() {
            return Err(format!("line {line_number}: a block without a fence"));
        }
        before = line;
        let Some(info) = line.strip_prefix("```") else { continue };
        let mut content = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => content.extend([line, "\n"]),
                None => return Err(format!("line {line_number}: the block has no end")),
            }
        }
        let read = read_block(info, content, blocks.last_mut());
        let task = read.map_err(|error| format!("line {line_number}: {error}"))?;
        blocks.extend(task.map(|task| Block { line: line_number, task }));
    }
    Ok(blocks)
}

/// What a block with this info string asks for, if it asks for something by itself.
fn read_block(info: &str, content: String, before: Option<&mut Block>) -> Result<Option<Task>, String> {
    let (language, attributes) = info.split_once(',').unwrap_or((info, ""));
    let attributes: Vec<&str> = attributes.split(',').filter(|attribute| !attribute.is_empty()).collect();
    if let [attribute] = attributes[..]
        && let Some(name) = attribute.strip_prefix("file=")
    {
        return Ok(Some(Task::Save { name: name.into(), content }));
    }
    match (language, &attributes[..]) {
        ("", _) => Err("the block has no language".into()),
        ("sh", _) => read_commands(&attributes, content).map(Some),
        ("text", ["figure"]) => Ok(None),
        ("text", []) => match before.map(|block| &mut block.task) {
            Some(Task::Run { expected: expected @ None, .. }) => {
                *expected = Some(content);
                Ok(None)
            }
            _ => Err("there is no block before whose output this is".into()),
        },
        ("console" | "bash" | "shell", _) => {
            Err(format!("commands stand in blocks of `sh`, not `{language}`"))
        }
        (_, []) => Ok(None),
        (_, [attribute, ..]) => Err(format!("nobody knows `{attribute}`")),
    }
}

fn read_commands(attributes: &[&str], script: String) -> Result<Task, String> {
    let (mut how, mut ctrl_c, mut needs) = (How::ToTheEnd { code: 0 }, None, None);
    for attribute in attributes {
        match attribute.split_once('=') {
            Some(("exit", code)) => {
                how = How::ToTheEnd {
                    code: code.parse().map_err(|_| format!("`{attribute}` is no exit code"))?,
                };
            }
            None if *attribute == "repeat" => how = How::UntilAsExpected,
            Some(("terminal", name)) => how = How::In(name.into()),
            Some(("ctrl-c", name)) => ctrl_c = Some(name.into()),
            Some(("needs", name)) if name == "postgresql" || FOREIGN.contains(&name) => {
                needs = Some(name.into())
            }
            _ => return Err(format!("nobody knows `{attribute}`")),
        }
    }
    Ok(Task::Run { script, how, ctrl_c, needs, expected: None })
}

/// Whether `said` is what the page expects.
fn is_as_expected(expected: &str, said: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.trim_end().lines();
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    lines_fit(&lines(expected), &lines(said))
}

fn lines_fit(expected: &[String], said: &[String]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=said.len()).any(|passed| lines_fit(rest, &said[passed..]))
        }
        Some((first, rest)) => {
            said.split_first().is_some_and(|(line, after)| line_fits(first, line) && lines_fit(rest, after))
        }
    }
}

fn line_fits(expected: &str, line: &str) -> bool {
    let Some((start, rest)) = expected.split_once('…') else { return expected == line };
    let Some(line) = line.strip_prefix(start) else { return false };
    line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| line_fits(rest, &line[at..]))
}

/// The targets of links to files.
fn links(page: &str) -> Vec<String> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).unwrap().to_owned()
}

/// Someone who follows pages: a folder, and terminals in which something runs.
struct Reader {
    /// Holds `work`, in which the commands run, `bin`, and what the terminals show.
    folder: tempfile::TempDir,
    terminals: Vec<Terminal>,
    postgresql: Option<Child>,
    /// Blocks that were not run, and why.
    passed_over: Vec<String>,
}

struct Terminal {
    name: String,
    place: String,
    child: Child,
    shows: PathBuf,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        symlink(env!("CARGO_BIN_EXE_buoy"), bin.join("buoy")).unwrap();
        let cargo = "#!/bin/sh\n[ \"$*\" = 'install --locked --path crates/buoy' ] || { echo \"there is no \\`cargo $*\\` here\" >&2; exit 1; }\n";
        fs::write(bin.join("cargo"), cargo).unwrap();
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, terminals: Vec::new(), postgresql: None, passed_over: Vec::new() }
    }

    /// Follows a page of the repository, and first the page that it goes on from.
    fn follow_file(&mut self, page: &str) -> Result<(), String> {
        let path = repository().join(page);
        let text = fs::read_to_string(&path).map_err(|error| format!("{page}: {error}"))?;
        let first = text.strip_prefix("<!-- after: ").and_then(|rest| rest.split_once(" -->"));
        if let Some((first, _)) = first {
            let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
            self.follow_file(&format!("{folder}/{first}"))?;
            self.passed_over.clear();
        }
        self.follow(page, &text)
    }

    fn follow(&mut self, page: &str, text: &str) -> Result<(), String> {
        for Block { line, task } in blocks(text).map_err(|error| format!("{page}: {error}"))? {
            let place = format!("{page}:{line}");
            match task {
                Task::Save { name, content } => {
                    fs::write(self.folder.path().join("work").join(name), content).unwrap()
                }
                Task::Run { script, how, ctrl_c, needs, expected } => {
                    if let Some(needs) = needs
                        && !(needs == "postgresql" && self.has_postgresql())
                    {
                        self.passed_over.push(format!("{place} (needs {needs})"));
                        continue;
                    }
                    if let Some(name) = ctrl_c {
                        self.press_ctrl_c(&name)?;
                    }
                    match how {
                        How::ToTheEnd { code } => self.run(&place, &script, code, expected.as_deref())?,
                        How::UntilAsExpected => self.repeat(&place, &script, expected.as_deref())?,
                        How::In(name) => self.run_in_terminal(&place, &script, name, expected.as_deref())?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends what runs, in the order in which it began, backwards.
    fn end(&mut self) -> Result<(), String> {
        while let Some(name) = self.terminals.last().map(|terminal| terminal.name.clone()) {
            self.press_ctrl_c(&name)?;
        }
        Ok(())
    }

    /// Starts a script whose output goes to a file.
    fn start(&self, script: &str, output: &Path) -> Child {
        let output = File::create(output).unwrap();
        let mut path = self.folder.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let work = self.folder.path().join("work");
        let mut command = Command::new("sh");
        command
            .args(["-euc", script])
            .env_clear()
            .env("PATH", path)
            .env("HOME", &work)
            .env("LANG", "C.UTF-8");
        command.current_dir(work).stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
        // A group of its own gets what Ctrl-C sends, as in a terminal.
        command.process_group(0).spawn().unwrap()
    }

    fn run(&self, place: &str, script: &str, code: i32, expected: Option<&str>) -> Result<(), String> {
        let output = self.folder.path().join("output");
        let mut child = self.start(script, &output);
        let ended = wait(&mut child, PATIENCE);
        if ended.is_none() {
            signal(&child, "KILL");
            let _ = child.wait();
        }
        let said = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
        let shown = format!("\n{}", self.shown());
        match ended {
            None => Err(format!("{place}: it does not end, and has printed\n{said}{shown}")),
            Some(status) if status.code() != Some(code) => Err(format!(
                "{place}: it ends with {} and not {code}, and prints\n{said}{shown}",
                code_of(status)
            )),
            _ => match expected {
                Some(expected) if !is_as_expected(expected, &said) => {
                    Err(format!("{place}: it prints\n{said}and not\n{expected}{shown}"))
                }
                _ => Ok(()),
            },
        }
    }

    fn repeat(&self, place: &str, script: &str, expected: Option<&str>) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = self.run(place, script, 0, expected);
            if done.is_ok() || Instant::now() > deadline {
                return done;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn run_in_terminal(
        &mut self,
        place: &str,
        script: &str,
        name: String,
        expected: Option<&str>,
    ) -> Result<(), String> {
        if self.terminals.iter().any(|terminal| terminal.name == name) {
            self.press_ctrl_c(&name)?;
        }
        let shows = self.folder.path().join(format!("terminal-{name}"));
        let child = self.start(script, &shows);
        self.terminals.push(Terminal { name, place: place.into(), child, shows: shows.clone() });
        let Some(expected) = expected else { return Ok(()) };
        let expected = format!("{}\n…\n", expected.trim_end());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = String::from_utf8_lossy(&fs::read(&shows).unwrap()).into_owned();
            if is_as_expected(&expected, &said) {
                return Ok(());
            }
            let ended = self.terminals.last_mut().and_then(|terminal| terminal.child.try_wait().unwrap());
            if let Some(status) = ended {
                return Err(format!(
                    "{place}: it ended with {}, and prints\n{said}and not\n{expected}",
                    code_of(status)
                ));
            }
            if Instant::now() > deadline {
                return Err(format!("{place}: it prints\n{said}and not\n{expected}\n{}", self.shown()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends what runs in a terminal, which must not have failed by itself.
    fn press_ctrl_c(&mut self, name: &str) -> Result<(), String> {
        let at = self.terminals.iter().position(|terminal| terminal.name == name);
        let at = at.ok_or_else(|| format!("there is no terminal {name}"))?;
        let shown = self.terminals[at].shown();
        let mut terminal = self.terminals.remove(at);
        match terminal.child.try_wait().unwrap() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(format!("{}: it ended with {}\n{shown}", terminal.place, code_of(status)));
            }
            None => {}
        }
        // The shell of a terminal that has just begun may lose the first one.
        for _ in 0..4 {
            signal(&terminal.child, "INT");
            if wait(&mut terminal.child, PATIENCE / 4).is_some() {
                return Ok(());
            }
        }
        signal(&terminal.child, "KILL");
        Err(format!("{}: it does not end by Ctrl-C\n{shown}", terminal.place))
    }

    /// What the terminals show.
    fn shown(&self) -> String {
        self.terminals.iter().map(Terminal::shown).collect()
    }

    fn has_postgresql(&mut self) -> bool {
        if self.postgresql.is_none() {
            self.postgresql = start_postgresql();
        }
        assert!(
            self.postgresql.is_some() || std::env::var_os("CI").is_none(),
            "PostgreSQL is not installed: apt-get install postgresql"
        );
        self.postgresql.is_some()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for terminal in &mut self.terminals {
            signal(&terminal.child, "KILL");
            let _ = terminal.child.wait();
        }
        if let Some(server) = &mut self.postgresql {
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }
}

impl Terminal {
    fn shown(&self) -> String {
        let said = fs::read(&self.shows).unwrap_or_default();
        let mut shown = format!("Terminal {} ({}) shows\n", self.name, self.place);
        let _ = write!(shown, "{}", String::from_utf8_lossy(&said));
        shown
    }
}

/// None if it takes too long.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Signals a group that [`Reader::start`] made.
fn signal(child: &Child, name: &str) {
    let _ = Command::new("kill")
        .args([&format!("-{name}"), "--", &format!("-{}", child.id())])
        .stderr(Stdio::null())
        .status();
}

fn code_of(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| code.to_string())
}

/// Starts PostgreSQL at its usual port, with a superuser `buoy` who needs no password. It ends when its input does. None if it is not
/// installed.
fn start_postgresql() -> Option<Child> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin")).max();
    let has_all = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).exists());
    let programs = debian.into_iter().chain(std::env::split_paths(&path)).find(has_all)?;
    // The server refuses to run as root, and in a user namespace everybody is.
    let mut command = if std::env::var(INSIDE).is_ok_and(|flags| flags == "-n") {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000"]);
        command
    };
    command.args(["sh", "-c", POSTGRESQL, "sh"]).arg(programs).current_dir("/");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "PostgreSQL did not start");
    Some(child)
}

const POSTGRESQL: &str = r#"
set -eu
trap '' INT
dir=$(mktemp -d /tmp/buoy-docs-XXXXXX)
trap 'rm -rf "$dir"' EXIT
"$1/initdb" -D "$dir/data" -U buoy -A trust -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$1/postgres" -D "$dir/data" -k "$dir" -c listen_addresses=127.0.0.1 -c fsync=off >>"$dir/log" 2>&1 &
pid=$!
until "$1/pg_isready" -q -h 127.0.0.1; do
    kill -0 $pid || { cat "$dir/log" >&2; exit 1; }
    sleep 0.05
done
echo ready
cat >/dev/null
kill -QUIT $pid
wait $pid || true
"#;

//! `buoy top`: what goes on at a server, live in the terminal.

mod picture;
mod view;

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::bail;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::ctl;
use picture::{News, Picture};

/// How often keys are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ctl::ServerArgs,
    /// Seconds between two looks at the lists; events are shown as they come.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

/// Shows the picture until q, Esc or Ctrl-C.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        bail!("`buoy top` needs a terminal; `buoy ctl status --watch` prints the same in lines");
    }
    let client = args.server.client()?;
    // What is wrong from the start is told on a terminal that is as it was.
    let mut picture = Picture::read(&client)?;
    let (news, incoming) = mpsc::channel();
    picture::follow(client, Duration::from_secs(args.every), news);
    let mut terminal = ratatui::init();
    let ended = show(&mut terminal, &mut picture, &incoming);
    ratatui::restore();
    ended
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    picture: &mut Picture,
    incoming: &mpsc::Receiver<News>,
) -> anyhow::Result<()> {
    loop {
        incoming.try_iter().for_each(|news| picture.take(news));
        terminal.draw(|frame| view::draw(frame, picture))?;
        if event::poll(LOOK_EVERY)?
            && let Event::Key(key) = event::read()?
            && ends(key)
        {
            return Ok(());
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (is_ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

//! How the picture is drawn. All texts of devices go through `harmless`.

use buoy_api::{Campaign, CampaignCounts, DeviceCount, Update};
use buoy_lwm2m::text::harmless;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, List, ListItem, Paragraph, Row, Table};

use super::picture::Picture;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let campaigns = picture.campaigns.iter().filter(|it| is_under_way(it)).take(3).collect::<Vec<_>>();
    let rows = [
        Constraint::Length(1),
        Constraint::Length(7),
        Constraint::Length(if campaigns.is_empty() { 0 } else { campaigns.len() as u16 + 2 }),
        Constraint::Percentage(40),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [head, counts, of_campaigns, updates, events, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(heading(picture), head);
    let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [left, right] = Layout::horizontal(halves).areas(counts);
    frame.render_widget(counts_of("Devices", &picture.states), left);
    frame.render_widget(counts_of("Firmware", &picture.versions), right);
    draw_campaigns(frame, of_campaigns, &campaigns);
    frame.render_widget(updates_of(&picture.updates), updates);
    frame.render_widget(events_of(picture, events), events);
    frame.render_widget(Paragraph::new("q ends".dim()), foot);
}

fn heading(picture: &Picture) -> Paragraph<'static> {
    let state = match &picture.trouble {
        Some(trouble) => Span::from(shown(trouble)).red(),
        None if picture.ready == "ready" => Span::from("ready").green(),
        None => Span::from(shown(&picture.ready)).red(),
    };
    let operations = format!("   {} operations under way", picture.operations);
    Paragraph::new(Line::from(vec![
        Span::from("buoy ").bold(),
        Span::from(shown(&picture.server)),
        Span::from("   "),
        state,
        Span::from(operations),
    ]))
}

fn counts_of(title: &'static str, counts: &[DeviceCount]) -> Table<'static> {
    let all: u64 = counts.iter().map(|it| it.count).sum();
    let rows = counts.iter().map(|it| {
        let share = (it.count * 20).checked_div(all).unwrap_or_default();
        let bar = "█".repeat(usize::try_from(share).unwrap_or_default());
        Row::new([shown(it.value.as_deref().unwrap_or("not told")), it.count.to_string(), bar])
    });
    let widths = [Constraint::Length(18), Constraint::Length(9), Constraint::Min(4)];
    Table::new(rows, widths).block(Block::bordered().title(title))
}

fn is_under_way(campaign: &Campaign) -> bool {
    use buoy_api::CampaignState::{Aborted, Done, Draft};
    !matches!(campaign.state, Done | Aborted | Draft)
}

fn draw_campaigns(frame: &mut Frame<'_>, area: Rect, campaigns: &[&Campaign]) {
    if campaigns.is_empty() {
        return;
    }
    let block = Block::bordered().title("Campaigns");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = Layout::vertical(campaigns.iter().map(|_| Constraint::Length(1))).split(inner);
    for (campaign, area) in campaigns.iter().zip(rows.iter()) {
        let CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } =
            campaign.counts;
        let (done, all) =
            (confirmed + had_it, waiting + updating + confirmed + had_it + failed + skipped + put_back);
        let ratio = if all == 0 { 0.0 } else { done as f64 / all as f64 };
        let name = shown(&campaign.plan.name);
        let label = format!("{name}: {done} of {all}, {updating} under way, {failed} failed");
        frame.render_widget(Gauge::default().ratio(ratio.clamp(0.0, 1.0)).label(label), *area);
    }
}

fn updates_of(updates: &[Update]) -> Table<'static> {
    let rows = updates.iter().map(|update| {
        let style = match update.state.as_str() {
            _ if !update.ended => Style::new().bold(),
            "updated" | "already_running" => Style::new().green(),
            _ => Style::new().red(),
        };
        let cells = [&update.endpoint, &update.version, &update.state, &update.detail].map(|it| shown(it));
        Row::new(cells).style(style)
    });
    let widths =
        [Constraint::Percentage(25), Constraint::Length(14), Constraint::Length(18), Constraint::Min(10)];
    let head = Row::new(["DEVICE", "VERSION", "STATE", "DETAIL"]).dim();
    Table::new(rows, widths).header(head).block(Block::bordered().title("Updates"))
}

fn events_of(picture: &Picture, area: Rect) -> List<'static> {
    // The newest are at the bottom, as in a log.
    let room = usize::from(area.height.saturating_sub(2));
    let skipped = picture.events.len().saturating_sub(room);
    let items = picture.events.iter().skip(skipped).map(|(at, words)| {
        ListItem::new(format!("{}  {}", buoy_services::moments::text(at / 1000 * 1000), shown(words)))
    });
    List::new(items).block(Block::bordered().title("Events"))
}

fn shown(text: &str) -> String {
    harmless(text).to_string()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    #[test]
    fn the_picture_has_what_is_known_and_nothing_that_acts_on_the_terminal() {
        let count = |value: &str, count: u64| DeviceCount { value: Some(value.into()), count };
        let mut picture = Picture {
            server: "http://localhost:8080".into(),
            ready: "ready".into(),
            states: vec![count("online", 3), count("asleep", 1)],
            versions: vec![count("1.0\u{1b}[2J", 4)],
            operations: 2,
            ..Picture::default()
        };
        picture.events.push_back((1_795_466_474_000, "buoy-1 is awake".into()));
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal.draw(|frame| draw(frame, &picture)).unwrap();
        let text = terminal.backend().to_string();
        for words in ["ready", "online", "2 operations", "2026-11-23T20:41:14Z  buoy-1 is awake", "Updates"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains('\u{1b}'));
        // A terminal of any size is drawn on.
        let mut small = Terminal::new(TestBackend::new(3, 2)).unwrap();
        small.draw(|frame| draw(frame, &picture)).unwrap();
    }
}

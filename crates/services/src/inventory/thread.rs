//! The thread of the inventory.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::operation::Downlink as Typed;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::OwnedValue;
use buoy_server::{Downlink, Durability, Intent, Outcome};
use buoy_store::{Change as StoreChange, ChangeSet, DeviceChange, DeviceRow, StoreError};

use super::model::{Left, Model, Seed};
use super::survey::Survey;
use super::{Change, Inbox, Message, object_ids};
use crate::app::App;
use crate::journal::Saving;
use crate::values::DeviceModels;

/// How often it looks for what is to be saved or asked.
const TICK: Duration = Duration::from_millis(500);
/// Rows that are saved at a time,
const SAVED_AT_ONCE: usize = 100;
/// at the stop,
const SAVED_AT_STOP: usize = 10_000;
/// and devices that are looked at to find them.
const STEPS: usize = 20_000;
/// How long a device is given to say what it is.
const PATIENCE: Duration = Duration::from_secs(60);
/// The instance of object 3.
const DEVICE: Path = Path::instance(3, 0);

/// Starts the thread. `seeds` are the devices that were registered when the server started.
pub(crate) fn start(
    app: &Arc<App>,
    inbox: Inbox,
    seeds: Vec<Seed>,
    asks: bool,
) -> std::io::Result<JoinHandle<()>> {
    let app = app.clone();
    app.failures.supervisor().spawn("inventory".into(), move || {
        let rows = rows(&app).map_err(std::io::Error::other)?;
        let model = Model::start(rows, seeds);
        let survey = asks.then(Survey::default);
        let thread = Thread { app, model, survey, cursor: None, saving: None };
        thread.run(&inbox);
        Ok(())
    })
}

fn rows(app: &App) -> Result<Vec<DeviceRow>, StoreError> {
    let mut rows = Vec::new();
    app.store.reader()?.devices(&mut |row| rows.push(row))?;
    Ok(rows)
}

struct Thread {
    app: Arc<App>,
    model: Model,
    /// None where devices are not asked.
    survey: Option<Survey>,
    /// Up to where rows were looked at.
    cursor: Option<Arc<str>>,
    /// Ends when the rows that are being saved are durable.
    saving: Option<Saving>,
}

impl Thread {
    fn run(mut self, inbox: &Inbox) {
        let mut next = Instant::now() + TICK;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(Message::Changes(changes)) => changes.into_iter().for_each(|change| self.apply(change)),
                Ok(Message::Updated(name)) => {
                    let now = self.app.now();
                    if let Some(survey) = &mut self.survey {
                        survey.updated(&mut self.model, &name, now);
                    }
                }
                Ok(Message::Ask(question)) => question(&mut self.model),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return self.save_at_stop(),
                Err(RecvTimeoutError::Timeout) => {
                    next = Instant::now() + TICK;
                    self.save_slice();
                    self.ask_devices();
                }
            }
            // Many messages are no reason to do nothing else.
            if next + TICK < Instant::now() {
                next = Instant::now();
            }
        }
    }

    fn apply(&mut self, change: Change) {
        let now = self.app.now();
        match change {
            Change::Present { notice, registered } => {
                // Of a list that is gone already a later event tells.
                let Some(objects) = notice.objects.upgrade() else { return };
                self.model.present(Seed {
                    name: notice.endpoint.clone(),
                    registration: notice.key,
                    registered_at: notice.registered_at,
                    proved: notice.session.is_some(),
                    asleep: notice.asleep,
                    objects: object_ids(&objects),
                });
                if let Some(survey) = self.survey.as_mut().filter(|_| registered) {
                    survey.registered(&mut self.model, &notice.endpoint, now);
                }
            }
            Change::Left(notice) => {
                let name = &notice.endpoint;
                if self.model.left(name, notice.key, notice.last_contact) == Left::Forgotten {
                    self.save(vec![StoreChange::Device(DeviceChange::Remove { endpoint: name.to_string() })]);
                }
            }
            Change::Sleeps { name, is_asleep } => {
                self.model.sleeps(&name, is_asleep);
                if let Some(survey) = self.survey.as_mut().filter(|_| !is_asleep) {
                    survey.can_be_reached(&self.model, &name, now);
                }
            }
            Change::Answered { name, operation, outcome } => {
                let content = outcome.as_ref().ok().filter(|outcome| outcome.code == Code::CONTENT);
                let is_read = content.is_some_and(|content| self.read(&name, content));
                if let Some(survey) = &mut self.survey {
                    survey.answered(&mut self.model, operation, is_read, now);
                }
            }
            Change::Described { name, resource, text } => self.model.described(&name, resource, &text),
        }
    }

    /// Takes what a device says of itself. Whether it could be read.
    fn read(&mut self, name: &str, content: &Outcome) -> bool {
        let format = content.format.unwrap_or(ContentFormat::TLV);
        let models = DeviceModels::of_any(&self.app.models);
        let Ok(entries) = models.decode(format, DEVICE, &content.payload) else { return false };
        for entry in entries {
            if let (Some(resource), Some(OwnedValue::String(text))) = (entry.path.resource_id(), &entry.value)
            {
                self.model.described(name, resource, text);
            }
        }
        true
    }

    fn ask_devices(&mut self) {
        let Some(survey) = &mut self.survey else { return };
        if !survey.is_busy(&self.model) {
            return;
        }
        for name in survey.due(&self.model, self.app.now()) {
            let request = Downlink::of(&Typed::Read { path: DEVICE, accept: None }, "/");
            let (id, _) = self.app.submit(&name, request, Intent::Once, Durability::Transient, PATIENCE);
            survey.asked(name, id);
        }
    }

    fn save_slice(&mut self) {
        if self.saving.as_mut().is_some_and(|saving| !saving.has_ended()) || !self.model.is_any_unsaved() {
            return;
        }
        let (rows, next) = self.model.take_unsaved(self.cursor.take(), STEPS, SAVED_AT_ONCE);
        self.cursor = next;
        if !rows.is_empty() {
            self.save(rows.into_iter().map(|row| StoreChange::Device(DeviceChange::Put(row))).collect());
        }
    }

    /// What is not saved now is found again at the next start, but for devices that have just left.
    fn save_at_stop(&mut self) {
        let (rows, _) = self.model.take_unsaved(None, usize::MAX, SAVED_AT_STOP);
        self.save(rows.into_iter().map(|row| StoreChange::Device(DeviceChange::Put(row))).collect());
    }

    fn save(&mut self, set: ChangeSet<'static>) {
        self.saving = Some(self.app.journal.commit_later(set));
    }
}

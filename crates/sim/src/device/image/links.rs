//! The ways to the servers, which the accounts describe.

use buoy_client::ServerSlot;
use buoy_time::Instant;

use super::{Image, Input};
use crate::account::Account;
use crate::device::event::DeviceEvent;
use crate::device::link::{Keep, Link, LinkError, Unreachable};

impl Image<'_> {
    /// Opens the ways that the accounts describe, and closes those that they don't any more.
    pub(super) fn open_links(&mut self) {
        let servers = self.client.servers().map(|(slot, account, _)| (slot, *account));
        let bootstrap = self.client.bootstrap_server().map(|account| (ServerSlot::BOOTSTRAP, *account));
        let wanted: Vec<(ServerSlot, Account)> = servers.chain(bootstrap).collect();
        let vault = &self.vault;
        self.links.retain_mut(|(_, link)| {
            let stays = wanted.iter().any(|(slot, account)| *slot == link.slot() && link.leads_to(account));
            if !stays {
                link.close(vault);
            }
            stays
        });
        for (slot, account) in wanted {
            if !self.links.iter().any(|(_, link)| link.slot() == slot) {
                let uri = account.uri.to_string();
                self.show(DeviceEvent::Connecting { uri: uri.clone() });
                match self.open_link(slot, &account, Keep::Session) {
                    Ok(opened) => self.links.push(opened),
                    Err(error) => self.show(DeviceEvent::Unreachable { uri, why: error.to_string() }),
                }
            }
        }
    }

    pub(super) fn open_link(
        &mut self,
        slot: ServerSlot,
        account: &Account,
        keep: Keep,
    ) -> Result<(u64, Link), LinkError> {
        self.links_opened += 1;
        let number = self.links_opened;
        let inputs = self.inputs.clone();
        let take = move |bytes| inputs.send(Input::Received(number, bytes)).is_ok();
        let known = (&self.vault, &self.trust_store);
        Ok((number, Link::open(slot, account, keep, known, self.output.clone(), take)?))
    }

    /// The account of a server or of the bootstrap server.
    fn account(&self, slot: ServerSlot) -> Option<Account> {
        if slot == ServerSlot::BOOTSTRAP {
            return self.client.bootstrap_server().copied();
        }
        self.client.servers().find(|(of, ..)| *of == slot).map(|(_, account, _)| *account)
    }

    pub(super) fn send(&mut self, now: Instant, slot: ServerSlot, datagram: &[u8]) {
        if datagram.is_empty() {
            return;
        }
        self.body.statistics.count_sent(datagram.len());
        if !self.links.iter().any(|(_, link)| link.slot() == slot) {
            let Some(account) = self.account(slot) else { return };
            match self.open_link(slot, &account, Keep::Session) {
                Ok(opened) => self.links.push(opened),
                Err(error) => {
                    let event =
                        DeviceEvent::Unreachable { uri: account.uri.to_string(), why: error.to_string() };
                    self.unreachable.push((slot, event));
                }
            }
        }
        if let Some((_, link)) = self.links.iter_mut().find(|(_, link)| link.slot() == slot) {
            link.send(now, &mut self.rng, datagram);
        }
    }

    pub(super) fn settle_links(&mut self, now: Instant) {
        for (_, link) in &mut self.links {
            if let Err(Unreachable(why)) = link.settle(now, &mut self.rng, &self.vault) {
                self.unreachable.push((link.slot(), DeviceEvent::HandshakeFailed { why }));
            }
        }
    }

    /// Saves the sessions for the next run, before an orderly end of this one.
    pub(super) fn park_links(&mut self) {
        for (_, link) in &mut self.links {
            if let Err(error) = link.park(&mut self.rng, &self.vault) {
                tracing::warn!("a DTLS session cannot be saved, and the next run makes another: {error}");
            }
        }
    }
}

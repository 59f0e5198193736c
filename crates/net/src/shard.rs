//! One server shard in a thread: its socket, its timers, its inbox, and the journal that everything waits for.
//!
//! What the engine wants saved goes to the [`Journal`] together with what it wants sent. The journal saves, and gives it back; only then
//! it is sent and told. So nothing is acknowledged before it is safe, and the thread never waits for the disk: it takes the next
//! batch meanwhile.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_server::{Event, Outbox, Peer, Shard};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock::Clock;
use crate::directory::Endpoints;
use crate::udp::{self, Receiver};

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// Batches of datagrams that are taken before timers and the inbox get their turn.
const BATCHES_PER_TURN: usize = 16;
/// Outboxes that may wait for the journal. With more the thread stops reading its socket: the kernel then drops datagrams, and
/// the peers try again.
const MAX_IN_FLIGHT: usize = 64;
/// How often the times of last contact are saved.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The engine as it runs in a thread.
pub type ServerShard = Shard<Endpoints>;

/// Something to be done in a shard's thread.
pub type Task = Box<dyn FnOnce(&mut ServerShard, Instant, &mut Outbox) + Send>;

/// Makes changes durable.
pub trait Journal: Send {
    /// Saves the changes of an outbox, some time later, in the order of the calls, and then gives the outbox to `done`.
    fn save(&mut self, outbox: Outbox, done: &Done);
}

/// Where events go. They are taken out of the vector.
pub type Publish = Box<dyn FnMut(&mut Vec<Event>) + Send>;

/// The way back from the journal.
#[derive(Clone, Debug)]
pub struct Done {
    messages: Sender<Message>,
    waker: Arc<Waker>,
}

impl Done {
    /// The changes of this outbox are durable.
    pub fn saved(&self, outbox: Outbox) {
        self.send(Message::Saved(outbox));
    }

    fn send(&self, message: Message) {
        // A shard that has stopped needs no message.
        if self.messages.send(message).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

/// The way to a shard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShardHandle(Done);

impl ShardHandle {
    /// Has something done in the shard's thread.
    pub fn run(&self, task: impl FnOnce(&mut ServerShard, Instant, &mut Outbox) + Send + 'static) {
        self.0.send(Message::Run(Box::new(task)));
    }

    /// Ends the thread once everything that it has to save is saved and sent.
    pub fn stop(&self) {
        self.0.send(Message::Stop);
    }

    fn forward(&self, from: SocketAddr, datagram: Box<[u8]>) {
        self.0.send(Message::Forwarded(from, datagram));
    }
}

enum Message {
    Run(Task),
    Saved(Outbox),
    Forwarded(SocketAddr, Box<[u8]>),
    Meet(Vec<ShardHandle>),
    Stop,
}

/// What a shard's thread is made of.
pub struct Parts {
    /// The engine.
    pub engine: ServerShard,
    /// Its socket.
    pub socket: mio::net::UdpSocket,
    /// The journal.
    pub journal: Box<dyn Journal>,
    /// Where its events go.
    pub publish: Publish,
    /// The clock, the same for all shards.
    pub clock: Clock,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Starts the threads of all shards, and introduces them to each other.
///
/// # Errors
/// What the system says if it refuses threads or pollers.
pub fn start(parts: Vec<Parts>) -> io::Result<Vec<(ShardHandle, JoinHandle<()>)>> {
    let threads = parts.into_iter().enumerate().map(|(number, parts)| start_one(number, parts));
    let threads: Vec<_> = threads.collect::<io::Result<_>>()?;
    let handles: Vec<ShardHandle> = threads.iter().map(|(handle, _)| handle.clone()).collect();
    for handle in &handles {
        handle.0.send(Message::Meet(handles.clone()));
    }
    Ok(threads)
}

fn start_one(number: usize, mut parts: Parts) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    poll.registry().register(&mut parts.socket, SOCKET, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (messages, inbox) = channel();
    let done = Done { messages, waker };
    let thread = Thread {
        number,
        parts,
        poll,
        inbox,
        done: done.clone(),
        shards: Vec::new(),
        spare: Vec::new(),
        in_flight: 0,
        stopping: false,
    };
    let join = std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || thread.run())?;
    Ok((ShardHandle(done), join))
}

struct Thread {
    number: usize,
    parts: Parts,
    poll: Poll,
    inbox: Inbox<Message>,
    done: Done,
    shards: Vec<ShardHandle>,
    spare: Vec<Outbox>,
    /// Outboxes at the journal.
    in_flight: usize,
    stopping: bool,
}

impl Thread {
    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut receiver = Receiver::default();
        let mut more_to_read = true;
        while !(self.stopping && self.in_flight == 0) {
            let wait = self.wait(more_to_read);
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            more_to_read |= events.iter().any(|event| event.token() == SOCKET);
            let mut outbox = self.spare.pop().unwrap_or_default();
            self.take_messages(&mut outbox);
            if more_to_read && self.in_flight < MAX_IN_FLIGHT && !self.stopping {
                more_to_read = self.receive(&mut receiver, &mut outbox);
            }
            let now = self.parts.clock.now();
            if self.parts.engine.next_deadline().is_some_and(|at| at <= now) {
                self.parts.engine.handle_timeout(now, &mut outbox);
            }
            self.parts.engine.flush(now, &mut outbox);
            self.dispatch(outbox);
        }
    }

    fn wait(&self, more_to_read: bool) -> Duration {
        if more_to_read && self.in_flight < MAX_IN_FLIGHT {
            return Duration::ZERO;
        }
        let deadline = self.parts.engine.next_deadline();
        let now = self.parts.clock.now();
        // Rounded up: to wake before the deadline would be to spin.
        deadline.map_or(LONGEST_WAIT, |at| (at.since(now) + Duration::from_millis(1)).min(LONGEST_WAIT))
    }

    fn take_messages(&mut self, outbox: &mut Outbox) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Run(task) => task(&mut self.parts.engine, self.parts.clock.now(), outbox),
                Message::Saved(saved) => {
                    self.in_flight -= 1;
                    self.release(saved);
                }
                Message::Forwarded(from, datagram) => {
                    let now = self.parts.clock.now();
                    self.parts.engine.handle_datagram(now, Peer { address: from }, &datagram, outbox);
                    // What this shard doesn't know either belongs to nobody: it must not go round.
                    outbox.events.retain(|event| !matches!(event, Event::Misdirected { .. }));
                }
                Message::Meet(shards) => self.shards = shards,
                Message::Stop => self.stopping = true,
            }
        }
    }

    /// Takes datagrams; says whether there may be more.
    fn receive(&mut self, receiver: &mut Receiver, outbox: &mut Outbox) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            match receiver.receive(&self.parts.socket) {
                Ok(count) => {
                    let now = self.parts.clock.now();
                    for (from, datagram) in receiver.datagrams() {
                        self.parts.engine.handle_datagram(now, Peer { address: from }, datagram, outbox);
                    }
                    // Fewer than asked for: the socket is empty, and the next datagram wakes the poller.
                    if count < udp::BATCH {
                        return false;
                    }
                }
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Sends what needs no saving at once, and the rest by way of the journal; never one before the other.
    fn dispatch(&mut self, mut outbox: Outbox) {
        self.forward_misdirected(&mut outbox);
        if outbox.is_empty() {
            self.spare.push(outbox);
        } else if outbox.changes.is_empty() && self.in_flight == 0 {
            self.release(outbox);
        } else {
            self.in_flight += 1;
            self.parts.journal.save(outbox, &self.done);
        }
    }

    /// Sends and tells what is safe to send and to tell.
    fn release(&mut self, mut outbox: Outbox) {
        udp::send_batch(
            &self.parts.socket,
            outbox.datagrams().map(|(peer, datagram)| (peer.address, datagram)),
        );
        if !outbox.events.is_empty() {
            (self.parts.publish)(&mut outbox.events);
        }
        outbox.clear();
        self.spare.push(outbox);
    }

    fn forward_misdirected(&mut self, outbox: &mut Outbox) {
        if self.shards.len() < 2 {
            outbox.events.retain(|event| !matches!(event, Event::Misdirected { .. }));
            return;
        }
        let misdirected: VecDeque<_> =
            outbox.events.extract_if(.., |event| matches!(event, Event::Misdirected { .. })).collect();
        for event in misdirected {
            let Event::Misdirected { shard, peer, datagram } = event else { continue };
            match shard {
                Some(shard) => {
                    // Locations may name shards of a time when there were more.
                    let home = usize::from(shard) % self.shards.len();
                    self.shards[home].forward(peer.address, datagram);
                }
                None => {
                    let others = self.shards.iter().enumerate().filter(|(number, _)| *number != self.number);
                    others.for_each(|(_, shard)| shard.forward(peer.address, datagram.clone()));
                }
            }
        }
    }
}

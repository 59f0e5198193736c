//! Messages to a thread that waits at a poller. It is woken once, however many messages come before it looks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Registry, Token, Waker};

/// A way to the thread. Cheap to clone.
pub(crate) struct Mailbox<M> {
    messages: Sender<M>,
    bell: Arc<Bell>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), bell: self.bell.clone() }
    }
}

impl<M> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mailbox").field(&self.bell).finish()
    }
}

impl<M> Mailbox<M> {
    pub(crate) fn send(&self, message: M) {
        // A thread that has stopped needs no message.
        if self.messages.send(message).is_ok() {
            self.bell.ring();
        }
    }
}

/// The thread's end.
pub(crate) struct Inbox<M> {
    messages: Receiver<M>,
    bell: Arc<Bell>,
}

impl<M> Inbox<M> {
    /// The next message that has come. After `None`, whatever comes wakes the thread again.
    pub(crate) fn next(&self) -> Option<M> {
        let next = || self.messages.try_recv().ok();
        next().or_else(|| {
            self.bell.hush();
            next()
        })
    }
}

/// A mailbox whose messages wake a poller with this token.
pub(crate) fn mailbox<M>(registry: &Registry, token: Token) -> io::Result<(Mailbox<M>, Inbox<M>)> {
    let bell = Arc::new(Bell { waker: Waker::new(registry, token)?, rung: AtomicBool::new(false) });
    let (sender, messages) = channel();
    Ok((Mailbox { messages: sender, bell: bell.clone() }, Inbox { messages, bell }))
}

/// Waking costs a system call, and is for one who sleeps.
#[derive(Debug)]
struct Bell {
    waker: Waker,
    /// The thread was woken, and has not come to the end of its inbox yet.
    rung: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        // Whoever finds it rung has sent before the thread hushes it, and the thread looks once more after that.
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }

    fn hush(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    const BELL: Token = Token(7);

    fn is_woken(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().any(|event| event.token() == BELL)
    }

    fn all(inbox: &Inbox<u32>) -> Vec<u32> {
        std::iter::from_fn(|| inbox.next()).collect()
    }

    #[test]
    fn a_thread_is_woken_once_until_it_looks() {
        let mut poll = Poll::new().unwrap();
        let (mailbox, inbox) = mailbox(poll.registry(), BELL).unwrap();
        assert!(!is_woken(&mut poll));
        mailbox.send(1);
        assert!(is_woken(&mut poll));
        mailbox.send(2);
        assert!(!is_woken(&mut poll));
        assert_eq!(all(&inbox), [1, 2]);
        mailbox.send(3);
        assert!(is_woken(&mut poll));
        assert_eq!(all(&inbox), [3]);
    }

    #[test]
    fn no_message_is_left_lying() {
        const EACH: u32 = 20_000;
        let mut poll = Poll::new().unwrap();
        let (mailbox, inbox) = mailbox(poll.registry(), BELL).unwrap();
        let senders = (0..4).map(|_| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || (0..EACH).for_each(|number| mailbox.send(number)))
        });
        let senders: Vec<_> = senders.collect();
        let (mut events, mut count) = (Events::with_capacity(4), 0);
        while count < 4 * EACH as usize {
            count += all(&inbox).len();
            if count < 4 * EACH as usize {
                poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
                assert!(
                    !events.is_empty(),
                    "{count} messages came, and nobody wakes the thread for the rest"
                );
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
}

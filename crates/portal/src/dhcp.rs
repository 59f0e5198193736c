//! Addresses for the phones that join (DHCP, RFC 2131), as far as an access point without a way to the Internet has them.

/// Bytes of the longest answer.
pub const MESSAGE: usize = 320;
/// Phones that have an address at once.
pub const LEASES: usize = 8;
const FIXED: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Seconds that an address is lent for.
const LIFE: u32 = 600;
/// The first address that is lent has this last byte.
const FIRST: u8 = 10;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ASK: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Who has which address.
#[derive(Clone, Debug)]
pub struct Leases {
    own: [u8; 4],
    holders: [Option<[u8; 6]>; LEASES],
    /// Who gets the place of an older one if there are more.
    next: usize,
}

/// What a phone sent.
struct Asked<'a> {
    kind: u8,
    hardware: [u8; 6],
    wanted: Option<[u8; 4]>,
    server: Option<[u8; 4]>,
    fixed: &'a [u8],
}

impl Leases {
    /// Addresses in the network of 256 of the device's own address.
    #[must_use]
    pub const fn new(own: [u8; 4]) -> Self {
        Self { own, holders: [None; LEASES], next: 0 }
    }

    /// Answers a message, to be broadcast to port 68. `None` if it needs no answer.
    pub fn answer<'a>(&mut self, message: &[u8], out: &'a mut [u8; MESSAGE]) -> Option<&'a [u8]> {
        let asked = Asked::read(message)?;
        let is_for_another = asked.server.is_some_and(|server| server != self.own);
        match asked.kind {
            DISCOVER => {
                let address = self.lend(asked.hardware);
                self.write(&asked, OFFER, address, out)
            }
            ASK if is_for_another => None,
            ASK => {
                let address = self.lend(asked.hardware);
                let kind = if asked.wanted.is_none_or(|wanted| wanted == address) { ACK } else { NAK };
                self.write(&asked, kind, address, out)
            }
            _ => None,
        }
    }

    fn lend(&mut self, hardware: [u8; 6]) -> [u8; 4] {
        let held = self.holders.iter().position(|holder| *holder == Some(hardware));
        let free = self.holders.iter().position(Option::is_none);
        let place = held.or(free).unwrap_or_else(|| {
            self.next = self.next.saturating_add(1) % LEASES;
            self.next
        });
        if let Some(holder) = self.holders.get_mut(place) {
            *holder = Some(hardware);
        }
        let [a, b, c, _] = self.own;
        [a, b, c, FIRST.saturating_add(place as u8)]
    }

    fn write<'a>(
        &self,
        asked: &Asked<'_>,
        kind: u8,
        address: [u8; 4],
        out: &'a mut [u8; MESSAGE],
    ) -> Option<&'a [u8]> {
        *out = [0; MESSAGE];
        out.get_mut(..FIXED)?.copy_from_slice(asked.fixed);
        *out.first_mut()? = REPLY;
        // The phone has no address that this could be sent to.
        out.get_mut(10..12)?.copy_from_slice(&[0x80, 0]);
        let given = if kind == NAK { [0; 4] } else { address };
        out.get_mut(16..20)?.copy_from_slice(&given);
        out.get_mut(20..24)?.copy_from_slice(&self.own);
        // Names of servers and files to start from: none.
        out.get_mut(44..FIXED)?.fill(0);
        let life = LIFE.to_be_bytes();
        let options: [(u8, &[u8]); 6] = [
            (53, &[kind]),
            (54, &self.own),
            (51, &life),
            (1, &[255, 255, 255, 0]),
            (3, &self.own),
            (6, &self.own),
        ];
        let told = if kind == NAK { 2 } else { options.len() };
        let mut places = out.get_mut(FIXED..)?.iter_mut();
        let fields = options
            .iter()
            .take(told)
            .flat_map(|(code, value)| [*code, value.len() as u8].into_iter().chain(value.iter().copied()));
        for byte in COOKIE.into_iter().chain(fields).chain([255]) {
            *places.next()? = byte;
        }
        Some(out)
    }
}

impl<'a> Asked<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = message.split_at_checked(FIXED)?;
        let [kind, hardware_type, hardware_length, ..] = *fixed else { return None };
        if (kind, hardware_type, hardware_length) != (REQUEST, 1, 6) {
            return None;
        }
        let hardware = fixed.get(28..34)?.try_into().ok()?;
        let current: [u8; 4] = fixed.get(12..16)?.try_into().ok()?;
        let mut options = rest.strip_prefix(&COOKIE)?;
        let (mut asked, mut server, mut wanted) = (None, None, None);
        while let [code, after @ ..] = options {
            options = match *code {
                0 => after,
                255 => break,
                code => {
                    let (length, after) = after.split_first()?;
                    let (value, after) = after.split_at_checked(usize::from(*length))?;
                    match code {
                        53 => asked = value.first().copied(),
                        54 => server = value.try_into().ok(),
                        50 => wanted = value.try_into().ok(),
                        _ => {}
                    }
                    after
                }
            };
        }
        // Who renews an address has it already.
        let wanted = wanted.or(Some(current).filter(|current| *current != [0; 4]));
        Some(Self { kind: asked?, hardware, wanted, server, fixed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, last: u8, options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; FIXED];
        message[..8].copy_from_slice(&[REQUEST, 1, 6, 0, 9, 9, 9, last]);
        message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, last]);
        [&message[..], &COOKIE, &[53, 1, kind], options, &[255]].concat()
    }

    #[test]
    fn a_phone_gets_an_address_and_keeps_it() {
        let mut leases = Leases::new([192, 168, 4, 1]);
        let mut out = [0; MESSAGE];
        let offer = leases.answer(&message(DISCOVER, 1, &[]), &mut out).unwrap();
        assert_eq!(
            (offer[0], &offer[4..8], &offer[16..20]),
            (REPLY, &[9, 9, 9, 1][..], &[192, 168, 4, 10][..])
        );
        assert_eq!(&offer[240..246], &[53, 1, OFFER, 54, 4, 192]);
        let ask = message(ASK, 1, &[50, 4, 192, 168, 4, 10, 54, 4, 192, 168, 4, 1]);
        assert_eq!(leases.answer(&ask, &mut out).unwrap()[242], ACK);
        assert_eq!(leases.answer(&message(DISCOVER, 2, &[]), &mut out).unwrap()[19], 11);
        assert_eq!(leases.answer(&message(DISCOVER, 1, &[]), &mut out).unwrap()[19], 10);
    }

    #[test]
    fn an_address_of_another_network_is_refused_and_another_server_left_alone() {
        let mut leases = Leases::new([192, 168, 4, 1]);
        let mut out = [0; MESSAGE];
        assert_eq!(leases.answer(&message(ASK, 1, &[50, 4, 10, 0, 0, 7]), &mut out).unwrap()[242], NAK);
        assert_eq!(leases.answer(&message(ASK, 1, &[54, 4, 10, 0, 0, 1]), &mut out), None);
    }

    #[test]
    fn more_phones_than_places_are_served() {
        let mut leases = Leases::new([192, 168, 4, 1]);
        let mut out = [0; MESSAGE];
        for phone in 0..100 {
            let last = leases.answer(&message(DISCOVER, phone, &[]), &mut out).unwrap()[19];
            assert!((FIRST..FIRST + LEASES as u8).contains(&last));
        }
    }

    #[test]
    fn what_is_no_request_gets_no_answer() {
        let mut leases = Leases::new([192, 168, 4, 1]);
        let mut out = [0; MESSAGE];
        let whole = message(DISCOVER, 1, &[12, 3, b'a', b'b', b'c']);
        for length in 0..240 {
            assert_eq!(leases.answer(&whole[..length], &mut out), None);
        }
        let mut reply = whole.clone();
        reply[0] = REPLY;
        assert_eq!(leases.answer(&reply, &mut out), None);
        let cut = message(DISCOVER, 1, &[12, 200, b'a']);
        assert_eq!(leases.answer(&cut, &mut out), None, "an option that ends behind the message");
    }
}

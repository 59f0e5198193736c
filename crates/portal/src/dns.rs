//! The name server of the portal (RFC 1035): every name leads to the device.

/// Bytes of a message over UDP.
pub const MESSAGE: usize = 512;
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
/// Seconds; short, so that no phone remembers a name when it is in another network again.
const LIFE: [u8; 4] = [0, 0, 0, 10];
const ANSWERED: [u8; 2] = [0x84, 0x00];
const NOT_IMPLEMENTED: [u8; 2] = [0x84, 0x04];

/// Answers a query. `None` for what is no query, or for none that could be answered.
pub fn answer<'a>(query: &[u8], address: [u8; 4], out: &'a mut [u8; MESSAGE]) -> Option<&'a [u8]> {
    let head: [u8; HEADER] = query.get(..HEADER)?.try_into().ok()?;
    let [id_high, id_low, flags, _, questions_high, questions_low, ..] = head;
    if flags & 0x80 != 0 {
        return None;
    }
    let is_standard = flags & 0x78 == 0 && [questions_high, questions_low] == [0, 1];
    if !is_standard {
        let refusal = [[id_high, id_low], NOT_IMPLEMENTED, [0, 0], [0, 0], [0, 0], [0, 0]];
        return put(out, refusal.as_flattened(), &[], &[]);
    }
    let question = question(query)?;
    let (_, kind) = question.split_at_checked(question.len().checked_sub(4)?)?;
    let [type_high, type_low, class_high, class_low] = kind.try_into().ok()?;
    let kind = u16::from_be_bytes([type_high, type_low]);
    let is_known =
        matches!(kind, TYPE_A | TYPE_ANY) && u16::from_be_bytes([class_high, class_low]) == CLASS_IN;
    let answers = [0, u8::from(is_known)];
    let head = [[id_high, id_low], ANSWERED, [0, 1], answers, [0, 0], [0, 0]];
    // The name is the question's, by a pointer to it.
    let record = [&[0xC0, HEADER as u8, 0, 1, 0, 1][..], &LIFE, &[0, 4], &address];
    let mut answer = [0; 16];
    answer.iter_mut().zip(record.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
    put(out, head.as_flattened(), question, if is_known { &answer } else { &[] })
}

/// The first question: labels, type and class. Names are at most 255 bytes (section 2.3.4), and one of a question has no pointers.
fn question(query: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at = at.checked_add(1)?.checked_add(length)?;
        if length > 63 || at > HEADER + 255 {
            return None;
        }
        if length == 0 {
            return query.get(HEADER..at.checked_add(4)?);
        }
    }
}

fn put<'a>(out: &'a mut [u8], head: &[u8], question: &[u8], answer: &[u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for part in [head, question, answer] {
        let end = length.checked_add(part.len())?;
        out.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    out.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(kind: u8) -> Vec<u8> {
        let head = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], b"\x05buoys\x03org\0", &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn every_name_leads_to_the_device() {
        let mut out = [0; MESSAGE];
        let said = answer(&query(1), [192, 168, 4, 1], &mut out).unwrap();
        assert_eq!(&said[..12], &[7, 9, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(&said[12..27], &query(1)[12..]);
        assert_eq!(&said[27..], &[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 192, 168, 4, 1]);
    }

    #[test]
    fn it_has_no_address_of_ipv6_and_does_nothing_else() {
        let mut out = [0; MESSAGE];
        let said = answer(&query(28), [192, 168, 4, 1], &mut out).unwrap();
        assert_eq!((said[7], said.len()), (0, 27));
        let mut update = query(1);
        update[2] = 5 << 3;
        assert_eq!(answer(&update, [192, 168, 4, 1], &mut out).unwrap()[3], 4);
    }

    #[test]
    fn what_is_no_query_gets_no_answer() {
        let mut out = [0; MESSAGE];
        let whole = query(1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], [0; 4], &mut out), None);
        }
        let mut response = whole.clone();
        response[2] |= 0x80;
        assert_eq!(answer(&response, [0; 4], &mut out), None, "two name servers would talk for ever");
        let mut pointer = whole;
        pointer[12] = 0xC0;
        assert_eq!(answer(&pointer, [0; 4], &mut out), None);
        let long = [
            &query(1)[..12],
            &b"\x3fabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk".repeat(9),
            &[0, 0, 1, 0, 1],
        ]
        .concat();
        assert_eq!(answer(&long, [0; 4], &mut out), None);
    }
}

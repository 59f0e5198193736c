//! Fields of a form (`application/x-www-form-urlencoded`).

use crate::text::Text;

/// The fields that a browser sent.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a>(pub &'a [u8]);

/// Why a field can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// It has more bytes than there is room for.
    TooLong,
    /// It is no text, or its encoding is broken.
    NotText,
    /// It has control characters, of which a setting has none.
    Control,
}

impl Form<'_> {
    /// The first field of this name; without one, no text.
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn field<const N: usize>(&self, name: &str) -> Result<Text<N>, FieldError> {
        let mut fields = self.0.split(|byte| *byte == b'&');
        let value = fields.find_map(|field| {
            let (key, value) = field.split_at_checked(field.iter().position(|byte| *byte == b'=')?)?;
            (key == name.as_bytes()).then_some(value.get(1..).unwrap_or_default())
        });
        decoded(value.unwrap_or_default())
    }
}

fn decoded<const N: usize>(encoded: &[u8]) -> Result<Text<N>, FieldError> {
    let mut bytes = [0; N];
    let mut length = 0_usize;
    let mut rest = encoded.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => hexadecimal(rest.next(), rest.next()).ok_or(FieldError::NotText)?,
            other => other,
        };
        *bytes.get_mut(length).ok_or(FieldError::TooLong)? = byte;
        length = length.saturating_add(1);
    }
    let text = bytes.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok());
    let text = text.ok_or(FieldError::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(FieldError::Control);
    }
    Text::new(text).ok_or(FieldError::TooLong)
}

fn hexadecimal(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let form = Form(b"network=My+Net&password=a%26b%3D%C3%A9&empty=&network=second");
        assert_eq!(form.field::<32>("network").unwrap().as_str(), "My Net");
        assert_eq!(form.field::<32>("password").unwrap().as_str(), "a&b=é");
        assert!(form.field::<32>("empty").unwrap().is_empty());
        assert!(form.field::<32>("absent").unwrap().is_empty());
    }

    #[test]
    fn a_field_that_no_setting_can_have_is_refused() {
        let field = |bytes: &[u8]| Form(bytes).field::<8>("a").unwrap_err();
        assert_eq!(field(b"a=123456789"), FieldError::TooLong);
        assert_eq!(field(&[b"a=".to_vec(), vec![b'x'; 10_000]].concat()), FieldError::TooLong);
        assert_eq!(field(b"a=%0A"), FieldError::Control, "it would begin a line of its own");
        assert_eq!(field(b"a=%"), FieldError::NotText);
        assert_eq!(field(b"a=%4"), FieldError::NotText);
        assert_eq!(field(b"a=%zz"), FieldError::NotText);
        assert_eq!(field(b"a=%ff"), FieldError::NotText);
    }
}

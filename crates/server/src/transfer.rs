//! The transfer of one operation: a request and its answer, each in as many blocks as needed (RFC 7959).

use buoy_coap::block::{BadBlock, Block, BlockSize, Download, Upload, UploadStep, block_option};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};

use crate::operation::{Downlink, Failure, Reply};
use crate::outbox::MTU;

/// Bodies up to this many bytes are sent in one message.
const WHOLE_BODY: usize = 1024;
/// The download of a value that changes meanwhile starts again at most this often.
const PATIENCE: u8 = 3;

/// A request in progress.
#[derive(Debug)]
pub(crate) struct Transfer {
    request: Downlink,
    /// The largest blocks, in both directions.
    size: BlockSize,
    /// The Request-Tag: distinguishes this body's blocks from those of another body for the same path (RFC 9175 section 3). A transfer that starts
    /// again keeps it, since the blocks of both attempts are the same.
    tag: u32,
    /// The Echo value that the device expects back (RFC 9175 section 2.3).
    echo: Option<Box<[u8]>>,
    /// The number of the answer's Observe option, which only its first block carries (RFC 7959 section 3.4).
    observed: Option<u32>,
    /// How often the download of the answer may still start again because it changed meanwhile.
    patience: u8,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The request is sent in one message.
    Whole,
    /// The request's body is sent block by block.
    Uploading(Upload),
    /// The answer's body arrives block by block.
    Downloading { download: Download, body: Vec<u8> },
}

/// What follows an answer.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send the next message.
    Again,
    /// The answer is complete; `observed` is the number of its Observe option, if it had one.
    Done { reply: Reply, observed: Option<u32> },
}

impl Transfer {
    /// `tag` must differ from that of any other body that may be in progress to the same device.
    pub(crate) fn new(request: Downlink, size: BlockSize, tag: u32) -> Self {
        let total = request.payload.bytes().len();
        let fits = total <= WHOLE_BODY.min(size.bytes());
        let phase = if fits { Phase::Whole } else { Phase::Uploading(Upload::new(total, size)) };
        Self { request, size, tag, echo: None, observed: None, patience: PATIENCE, phase }
    }

    /// Continues after the first block of the answer, such as a notification.
    pub(crate) fn continuing(request: Downlink, size: BlockSize) -> Self {
        let phase = Phase::Downloading { download: Download::new(size), body: Vec::new() };
        // Changes since the notification are reported by the next one.
        Self { request, size, tag: 0, echo: None, observed: None, patience: 0, phase }
    }

    pub(crate) fn request(&self) -> &Downlink {
        &self.request
    }

    /// Whether the next message is the first one, which contains the whole request.
    pub(crate) fn is_first_message(&self) -> bool {
        !matches!(self.phase, Phase::Downloading { .. })
    }

    /// The bytes of the request's body that the device has received, and their total.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let total = self.request.payload.bytes().len();
        match &self.phase {
            Phase::Uploading(upload) => (upload.sent(), total),
            Phase::Whole | Phase::Downloading { .. } => (total, total),
        }
    }

    /// Starts from the first byte again.
    pub(crate) fn restart(&mut self) {
        let request = std::mem::replace(&mut self.request, Downlink::empty());
        *self = Self::new(request, self.size, self.tag);
    }

    /// Limits the size of blocks. To be called before the first message.
    pub(crate) fn limit_blocks(&mut self, size: BlockSize) {
        if size < self.size && self.is_first_message() {
            self.size = size;
            self.restart();
        }
    }

    /// The length of the next message; `None` if it doesn't fit into a message.
    pub(crate) fn next_length(&self) -> Option<usize> {
        let mut buffer = [0; MTU];
        let header =
            Header { kind: Kind::Confirmable, code: self.request.code, message_id: 0, token: &[0; 8] };
        let mut writer = MessageWriter::new(&mut buffer, header);
        self.write(&mut writer);
        writer.finish().ok()
    }

    /// Writes options and payload of the next message.
    pub(crate) fn write(&self, writer: &mut MessageWriter<'_>) {
        let body = self.request.payload.bytes();
        let (block1, block2, payload) = match &self.phase {
            Phase::Whole => (None, self.early_block2(), body),
            Phase::Uploading(upload) => match upload.block() {
                Some((block, range)) => (Some(block), None, &body[range]),
                None => (None, None, body),
            },
            Phase::Downloading { download, .. } => (None, download.block(), body),
        };
        let size1 = block1.filter(|block| block.offset() == 0).map(|_| body.len() as u32);
        let added = [
            (OptionNumber::BLOCK2, block2.map(Block::to_uint)),
            (OptionNumber::BLOCK1, block1.map(Block::to_uint)),
            (OptionNumber::SIZE1, size1),
        ];
        self.write_options(writer, added);
        if let Some(echo) = &self.echo {
            writer.option(OptionNumber::ECHO, echo);
        }
        if block1.is_some() {
            writer.uint(OptionNumber::REQUEST_TAG, self.tag);
        }
        writer.payload(payload);
    }

    /// Requests small blocks from the start (RFC 7959 section 2.4), if the server is configured for them.
    fn early_block2(&self) -> Option<Block> {
        Block::at(0, false, self.size).filter(|_| self.reads() && self.size < BlockSize::MAX)
    }

    fn reads(&self) -> bool {
        matches!(self.request.code, Code::GET | Code::FETCH)
    }

    fn write_options(&self, writer: &mut MessageWriter<'_>, added: [(OptionNumber, Option<u32>); 3]) {
        // Later blocks of an observed body are fetched without Observe (RFC 7959 section 3.4).
        let drops_observe = matches!(self.phase, Phase::Downloading { .. });
        let mut added = added.into_iter().filter_map(|(number, value)| Some((number, value?))).peekable();
        for (number, value) in &self.request.options {
            while let Some((number, value)) = added.next_if(|(other, _)| other < number) {
                writer.uint(number, value);
            }
            if !(drops_observe && *number == OptionNumber::OBSERVE) {
                writer.option(*number, value);
            }
        }
        for (number, value) in added {
            writer.uint(number, value);
        }
    }

    /// Handles the device's answer; a body may have at most `limit` bytes.
    pub(crate) fn answered(&mut self, answer: &Message<'_>, limit: usize) -> Result<Step, Failure> {
        if answer.code() == Code::UNAUTHORIZED
            && let Some(echo) = answer.value(OptionNumber::ECHO)
            && self.echo.as_deref() != Some(echo)
        {
            self.echo = Some(echo.into());
            return Ok(Step::Again);
        }
        self.observed = answer.uint(OptionNumber::OBSERVE).or(self.observed);
        if let Phase::Uploading(upload) = &mut self.phase {
            match upload.answered(answer) {
                Ok(UploadStep::Next) => return Ok(Step::Again),
                // A refused block is the device's answer to the whole request.
                Ok(UploadStep::Done) | Err(BadBlock::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match block_option(answer, OptionNumber::BLOCK2)? {
            Some(block) if answer.code().is_success() && (block.more() || block.offset() > 0) => {
                self.downloaded(answer, limit)
            }
            _ => Ok(done(answer, answer.payload().to_vec(), self.observed)),
        }
    }

    fn downloaded(&mut self, answer: &Message<'_>, limit: usize) -> Result<Step, Failure> {
        if !matches!(self.phase, Phase::Downloading { .. }) {
            self.phase = Phase::Downloading { download: Download::new(self.size), body: Vec::new() };
        }
        let may_begin_anew =
            self.patience > 0 && self.reads() && self.request.payload.bytes().len() <= WHOLE_BODY;
        let Phase::Downloading { download, body } = &mut self.phase else { return Err(Failure::BadTransfer) };
        let piece = match download.received_block(answer) {
            Err(BadBlock::BodyChanged) if may_begin_anew => {
                self.patience -= 1;
                self.phase = Phase::Whole;
                return Ok(Step::Again);
            }
            piece => piece?,
        };
        if body.len() + piece.bytes.len() > limit {
            return Err(Failure::BadTransfer);
        }
        body.extend_from_slice(piece.bytes);
        let observed = self.observed;
        Ok(if piece.is_last { done(answer, std::mem::take(body), observed) } else { Step::Again })
    }
}

fn done(answer: &Message<'_>, payload: Vec<u8>, observed: Option<u32>) -> Step {
    let segments = answer.values(OptionNumber::LOCATION_PATH).map(String::from_utf8_lossy);
    let reply = Reply {
        code: answer.code(),
        format: answer.content_format(),
        location: segments.collect::<Vec<_>>().join("/"),
        observing: None,
        payload,
    };
    Step::Done { reply, observed }
}

//! Publishes a message to a topic of MQTT 5: it is accepted when the broker has acknowledged it (quality of service 1).
//!
//! The packets are those of `rumqttc`; the connection is our own, to an address that is checked.

use buoy_api::Secret;
use buoy_fleet::alerts::deliveries::Attempt;
use hyper::body::Bytes;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectReturnCode, Disconnect, DisconnectReasonCode, Login, Packet, PubAckReason, Publish,
    PublishProperties,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::broker::{Broker, Fault, Stream, within_patience};
use super::state::Means;

/// The largest packet that is read.
const MOST_BYTES: usize = 16 << 10;
/// Names the one message of a connection.
const MESSAGE: u16 = 1;

/// Publishes a message.
pub(super) async fn publish(
    server: &str,
    topic: &str,
    sign_in: Option<(&str, &Secret)>,
    body: Vec<u8>,
    means: &Means,
) -> Attempt {
    match Broker::mqtt(server) {
        Ok(broker) => within_patience(exchange(&broker, topic, sign_in, body, means)).await,
        Err(fault) => Attempt::Refused(fault.to_string()),
    }
}

async fn exchange(
    broker: &Broker,
    topic: &str,
    sign_in: Option<(&str, &Secret)>,
    body: Vec<u8>,
    means: &Means,
) -> Result<(), Fault> {
    let stream = broker.connect(&means.allowed).await?;
    let mut link =
        Link { stream: broker.secure(stream, &means.authorities).await?, buffer: bytes::BytesMut::new() };
    let login = sign_in.map(|(user, password)| Login::new(user, password.reveal()));
    // The broker gives it a name.
    let connect = Connect { keep_alive: 30, client_id: String::new(), clean_start: true, properties: None };
    link.write(&Packet::Connect(connect, None, login)).await?;
    match link.read().await? {
        Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => {}
        Packet::ConnAck(answer) => {
            return Err(Fault::Failed(format!("the broker refuses the connection: {:?}", answer.code)));
        }
        other => return Err(unexpected(&other)),
    }
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        content_type: Some("application/json".to_owned()),
        ..PublishProperties::default()
    };
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, Bytes::from(body), Some(properties));
    publish.pkid = MESSAGE;
    link.write(&Packet::Publish(publish)).await?;
    let answer = match link.read().await? {
        Packet::PubAck(answer) if answer.pkid == MESSAGE => answer.reason,
        Packet::Disconnect(why) => {
            return Err(Fault::Failed(format!("the broker ends the connection: {:?}", why.reason_code)));
        }
        other => return Err(unexpected(&other)),
    };
    match answer {
        // That nobody listens at the moment is no failure of the broker.
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {}
        PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            return Err(Fault::Refused(format!("the broker refuses the message: {answer:?}")));
        }
        other => return Err(Fault::Failed(format!("the broker refuses the message: {other:?}"))),
    }
    // It is acknowledged, whatever becomes of this.
    let _ = link.write(&Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection))).await;
    Ok(())
}

fn unexpected(packet: &Packet) -> Fault {
    let text = format!("{packet:?}");
    let name = text.split(['(', ' ']).next().unwrap_or_default();
    Fault::Failed(format!("the broker sends {name}, which is not expected"))
}

struct Link {
    stream: Box<dyn Stream>,
    buffer: bytes::BytesMut,
}

impl Link {
    async fn write(&mut self, packet: &Packet) -> Result<(), Fault> {
        let mut out = bytes::BytesMut::new();
        let written = packet.write(&mut out, None);
        written.map_err(|error| Fault::Refused(format!("the message can't be written: {error}")))?;
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }

    async fn read(&mut self) -> Result<Packet, Fault> {
        loop {
            match Packet::read(&mut self.buffer, Some(MOST_BYTES as u32)) {
                Ok(packet) => return Ok(packet),
                Err(Error::InsufficientBytes(_)) if self.buffer.len() < MOST_BYTES => {}
                Err(error) => return Err(Fault::Failed(format!("the answer is no MQTT 5: {error}"))),
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Fault::Failed("the broker closed the connection".into()));
            }
        }
    }
}

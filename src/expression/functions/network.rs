//! Kubernetes' IP addresses and networks.

use std::net::{IpAddr, Ipv4Addr};

use super::{Function, Result, text};
use crate::expression::EvaluationError;
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::global("ip", 1, |a, _| match &a[0] {
        Value::Ip(_) => Ok(a[0].clone()),
        value => address_or_error(text(value)?).map(Value::Ip),
    }),
    Function::global("isIP", 1, |a, _| Ok(Value::Bool(address(text(&a[0])?).is_some()))),
    Function::global("ip.isCanonical", 1, |a, _| {
        let text = text(&a[0])?;
        Ok(Value::Bool(address_or_error(text)?.to_string() == **text))
    }),
    Function::global("cidr", 1, |a, _| match &a[0] {
        Value::Cidr(..) => Ok(a[0].clone()),
        value => network_or_error(text(value)?).map(|(address, len)| Value::Cidr(address, len)),
    }),
    Function::global("isCIDR", 1, |a, _| Ok(Value::Bool(network(text(&a[0])?).is_some()))),
    Function::method("family", 1, |a, _| Ok(Value::Int(if ip(&a[0])?.is_ipv4() { 4 } else { 6 }))),
    Function::method("isUnspecified", 1, |a, _| is(a, |ip| ip.is_unspecified())),
    Function::method("isLoopback", 1, |a, _| is(a, |ip| ip.is_loopback())),
    Function::method("isLinkLocalMulticast", 1, |a, _| {
        is(a, |ip| match ip {
            IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
            IpAddr::V6(ip) => ip.is_multicast() && ip.segments()[0] & 0xf == 2,
        })
    }),
    Function::method("isLinkLocalUnicast", 1, |a, _| is(a, is_link_local_unicast)),
    Function::method("isGlobalUnicast", 1, |a, _| {
        is(a, |ip| {
            let is_local = ip.is_unspecified() || ip.is_loopback() || is_link_local_unicast(ip);
            !is_local && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
        })
    }),
    Function::method("containsIP", 2, |a, _| {
        let (network, len) = cidr(&a[0])?;
        let address = match &a[1] {
            Value::Text(text) => address_or_error(text)?,
            value => ip(value)?,
        };
        Ok(Value::Bool(contains(network, len, address)))
    }),
    Function::method("containsCIDR", 2, |a, _| {
        let (network, len) = cidr(&a[0])?;
        let (other, other_len) = match &a[1] {
            Value::Text(text) => network_or_error(text)?,
            value => cidr(value)?,
        };
        Ok(Value::Bool(len <= other_len && contains(network, len, other)))
    }),
    Function::method("masked", 1, |a, _| {
        let (address, len) = cidr(&a[0])?;
        Ok(Value::Cidr(masked(address, len), len))
    }),
    Function::method("prefixLength", 1, |a, _| Ok(Value::Int(i64::from(cidr(&a[0])?.1)))),
];

/// The longest text of an address or a network.
const LENGTH: usize = 64;

/// Reads an address without a zone. IPv4 in IPv6 has no second notation.
fn address(text: &str) -> Option<IpAddr> {
    if text.len() > LENGTH || text.contains(':') && text.contains('.') {
        return None;
    }
    text.parse().ok()
}

fn address_or_error(text: &str) -> Result<IpAddr> {
    address(text).ok_or(EvaluationError::Invalid("not an IP address"))
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, len) = text.split_once('/')?;
    let address = self::address(address)?;
    let is_canonical =
        len.bytes().all(|byte| byte.is_ascii_digit()) && (len == "0" || !len.starts_with('0'));
    let len = len.parse().ok().filter(|_| is_canonical)?;
    (len <= bits(address)).then_some((address, len))
}

fn network_or_error(text: &str) -> Result<(IpAddr, u8)> {
    network(text).ok_or(EvaluationError::Invalid("not a network in CIDR notation"))
}

fn ip(value: &Value<'_>) -> Result<IpAddr> {
    match value {
        Value::Ip(address) => Ok(*address),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn cidr(value: &Value<'_>) -> Result<(IpAddr, u8)> {
    match value {
        Value::Cidr(address, len) => Ok((*address, *len)),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// The address of a network, as it was written.
pub fn ip_of_cidr<'a>(value: &Value<'a>) -> Result<Value<'a>> {
    cidr(value).map(|(address, _)| Value::Ip(address))
}

fn is<'a>(arguments: &[Value<'a>], property: fn(IpAddr) -> bool) -> Result<Value<'a>> {
    Ok(Value::Bool(property(ip(&arguments[0])?.to_canonical())))
}

fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with the host bits set to zero.
fn masked(address: IpAddr, len: u8) -> IpAddr {
    let host = u32::from(bits(address).saturating_sub(len));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

fn contains(network: IpAddr, len: u8, address: IpAddr) -> bool {
    network.is_ipv4() == address.is_ipv4() && masked(network, len) == masked(address, len)
}

//! What a tenant may use, as an operator writes it.

use serde::{Deserialize, Deserializer, de};

use crate::limits::{
    CONCURRENT_EXECUTIONS_MAX, EXECUTION_TIMEOUT_SECS_MAX, EXECUTION_TIMEOUT_SECS_MIN,
    HEAP_MEMORY_MB_MAX, HEAP_MEMORY_MB_MIN, TENANT_CPU_SECONDS_MAX, TENANT_MB_MAX,
    TENANT_PER_MINUTE_MAX, TENANT_QUEUED_MAX, TENANT_WEIGHT_MAX,
};

const CONCURRENT_MAX: u64 = CONCURRENT_EXECUTIONS_MAX as u64;

/// What a tenant may use. What is left out is as the server has it by default; where that says
/// nothing either, there is no bound of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantLimits {
    /// Executions that run at once.
    #[serde(deserialize_with = "within::<1, CONCURRENT_MAX, _>")]
    pub concurrent: Option<u64>,
    /// Executions that wait for a slot.
    #[serde(deserialize_with = "within::<0, TENANT_QUEUED_MAX, _>")]
    pub queued: Option<u64>,
    /// Its share of the slots beside that of others who want some: twice the weight, twice the time.
    #[serde(deserialize_with = "within::<1, TENANT_WEIGHT_MAX, _>")]
    pub weight: Option<u64>,
    /// Executions that are accepted in a minute.
    #[serde(deserialize_with = "within::<1, TENANT_PER_MINUTE_MAX, _>")]
    pub executions_per_minute: Option<u64>,
    /// CPU seconds of its workers in an hour.
    #[serde(deserialize_with = "within::<1, TENANT_CPU_SECONDS_MAX, _>")]
    pub cpu_seconds_per_hour: Option<u64>,
    /// Requests of its scripts in a minute.
    #[serde(deserialize_with = "within::<1, TENANT_PER_MINUTE_MAX, _>")]
    pub fetches_per_minute: Option<u64>,
    /// Output of its scripts in an hour, in MiB.
    #[serde(deserialize_with = "within::<1, TENANT_MB_MAX, _>")]
    pub output_mb_per_hour: Option<u64>,
    /// Heaps that are stored for it, in MiB.
    #[serde(deserialize_with = "within::<1, TENANT_MB_MAX, _>")]
    pub stored_heap_mb: Option<u64>,
    /// The largest V8 heap that one of its executions may ask for, in MiB.
    #[serde(deserialize_with = "within::<HEAP_MEMORY_MB_MIN, HEAP_MEMORY_MB_MAX, _>")]
    pub heap_memory_max_mb: Option<u64>,
    /// The longest timeout that one of its executions may ask for, in seconds.
    #[serde(
        deserialize_with = "within::<EXECUTION_TIMEOUT_SECS_MIN, EXECUTION_TIMEOUT_SECS_MAX, _>"
    )]
    pub execution_timeout_secs: Option<u64>,
}

impl TenantLimits {
    /// These, and where they say nothing what is `beneath`.
    pub fn over(self, beneath: Self) -> Self {
        Self {
            concurrent: self.concurrent.or(beneath.concurrent),
            queued: self.queued.or(beneath.queued),
            weight: self.weight.or(beneath.weight),
            executions_per_minute: self.executions_per_minute.or(beneath.executions_per_minute),
            cpu_seconds_per_hour: self.cpu_seconds_per_hour.or(beneath.cpu_seconds_per_hour),
            fetches_per_minute: self.fetches_per_minute.or(beneath.fetches_per_minute),
            output_mb_per_hour: self.output_mb_per_hour.or(beneath.output_mb_per_hour),
            stored_heap_mb: self.stored_heap_mb.or(beneath.stored_heap_mb),
            heap_memory_max_mb: self.heap_memory_max_mb.or(beneath.heap_memory_max_mb),
            execution_timeout_secs: self
                .execution_timeout_secs
                .or(beneath.execution_timeout_secs),
        }
    }
}

/// A whole number in a range, told where it stands when it is not.
fn within<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let within = u64::try_from(number)
        .ok()
        .filter(|number| (LEAST..=MOST).contains(number));
    match within {
        Some(number) => Ok(Some(number)),
        None => Err(de::Error::custom(format_args!(
            "{number} is not allowed; allowed: {LEAST} to {MOST}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TenantLimits, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn what_is_left_out_is_as_the_server_has_it() {
        assert_eq!(read(""), Ok(TenantLimits::default()));
        let own = read("concurrent = 2\nweight = 10\nstored_heap_mb = 512").unwrap();
        let server = TenantLimits {
            concurrent: Some(8),
            queued: Some(16),
            ..TenantLimits::default()
        };
        let expected = TenantLimits {
            concurrent: Some(2),
            queued: Some(16),
            weight: Some(10),
            stored_heap_mb: Some(512),
            ..TenantLimits::default()
        };
        assert_eq!(own.over(server), expected);
    }

    #[test]
    fn what_is_out_of_range_or_unknown_is_an_error() {
        for text in [
            "concurrent = 0",
            "concurrent = -1",
            "concurrent = 1025",
            "weight = 1001",
            "queued = 10001",
            "heap_memory_max_mb = 3",
            "execution_timeout_secs = 301",
            "concurrent = \"2\"",
            "concurent = 2",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let told = read("weight = 0").unwrap_err();
        assert_eq!(told, "0 is not allowed; allowed: 1 to 1000");
        assert_eq!(read("queued = 0").unwrap().queued, Some(0));
    }
}

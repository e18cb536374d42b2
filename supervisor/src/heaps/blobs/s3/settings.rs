//! Which S3, as the AWS variables of the environment say.

use hyper::Uri;

use crate::heaps::config::AwsVariables;

/// The region that those use who have none, for an S3 of their own.
const REGION_OF_OTHERS: &str = "us-east-1";

const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";
const NO_ENDPOINTS_VARIABLE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// Why S3 cannot be asked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3SettingsError {
    /// No bucket is called that.
    #[error(
        "{0:?} cannot be the name of an S3 bucket: 3 to 63 letters in lower case, digits, dots and \
         hyphens"
    )]
    Bucket(String),
    /// Nobody says where.
    #[error("no region is set for S3; set AWS_REGION, or AWS_ENDPOINT_URL for an S3 of your own")]
    NoRegion,
    /// The region is no region.
    #[error("{0:?} cannot be the name of an AWS region; set AWS_REGION")]
    Region(String),
    /// The endpoint is no URL.
    #[error("{variable} is {value:?}, which is not an http:// or https:// URL")]
    Endpoint {
        /// Which variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// Certificates cannot be read.
    #[error("the certificates in AWS_CA_BUNDLE={path:?} cannot be used: {why}")]
    Bundle {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody vouches for anybody.
    #[error(
        "S3 is asked over TLS, and this machine has no certificates of authorities ({why}); install \
         ca-certificates, or set AWS_CA_BUNDLE or SSL_CERT_FILE"
    )]
    NoAuthorities {
        /// What was found instead.
        why: String,
    },
}

/// Where a service of AWS, or one like it, answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) region: String,
    pub(super) url: String,
}

impl Endpoint {
    /// Where `service` (`s3`, `sts`) answers.
    pub(super) fn of(service: &str, variables: &AwsVariables) -> Result<Self, S3SettingsError> {
        let region = REGION_VARIABLES.iter().find_map(|name| variables.get(name));
        let own = own_endpoint(service, variables)?;
        let region = match (region, &own) {
            (Some(region), _) => region,
            (None, Some(_)) => REGION_OF_OTHERS,
            (None, None) => return Err(S3SettingsError::NoRegion),
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !region.bytes().all(is_name) {
            return Err(S3SettingsError::Region(region.to_owned()));
        }
        let url = own.unwrap_or_else(|| {
            let domain = match region.starts_with("cn-") {
                true => "amazonaws.com.cn",
                false => "amazonaws.com",
            };
            format!("https://{service}.{region}.{domain}")
        });
        let region = region.to_owned();
        Ok(Self { region, url })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.url.starts_with("https://")
    }
}

fn own_endpoint(
    service: &str,
    variables: &AwsVariables,
) -> Result<Option<String>, S3SettingsError> {
    let is_ignored = variables
        .get(NO_ENDPOINTS_VARIABLE)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_ignored {
        return Ok(None);
    }
    let of_service = format!("{ENDPOINT_VARIABLE}_{}", service.to_ascii_uppercase());
    for variable in [of_service, ENDPOINT_VARIABLE.to_owned()] {
        let Some(value) = variables.get(&variable) else {
            continue;
        };
        let is_url = value.parse::<Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.host().is_some_and(|host| !host.is_empty())
                && url.query().is_none()
        });
        if !is_url {
            let value = value.to_owned();
            return Err(S3SettingsError::Endpoint { variable, value });
        }
        return Ok(Some(value.trim_end_matches('/').to_owned()));
    }
    Ok(None)
}

/// Buckets are named in paths, so a name must not reach beyond its own part.
pub(super) fn check_bucket(bucket: &str) -> Result<(), S3SettingsError> {
    let is_name = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    let ends_well = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if (3..=63).contains(&bucket.len())
        && bucket.bytes().all(is_name)
        && ends_well(bucket.bytes().next())
        && ends_well(bucket.bytes().last())
        && !bucket.contains("..")
    {
        Ok(())
    } else {
        Err(S3SettingsError::Bucket(bucket.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(variables: &[(&str, &str)]) -> Result<(String, String), S3SettingsError> {
        let variables = variables.iter().copied().collect();
        Endpoint::of("s3", &variables).map(|found| (found.region, found.url))
    }

    fn found(region: &str, url: &str) -> Result<(String, String), S3SettingsError> {
        Ok((region.to_owned(), url.to_owned()))
    }

    #[test]
    fn a_region_has_its_endpoint() {
        let url = "https://s3.eu-west-1.amazonaws.com";
        assert_eq!(s3(&[("AWS_REGION", "eu-west-1")]), found("eu-west-1", url));
        assert_eq!(
            s3(&[("AWS_DEFAULT_REGION", "eu-west-1")]),
            found("eu-west-1", url)
        );
        let both = [
            ("AWS_DEFAULT_REGION", "us-west-2"),
            ("AWS_REGION", "eu-west-1"),
        ];
        assert_eq!(s3(&both), found("eu-west-1", url));
        let url = "https://s3.cn-north-1.amazonaws.com.cn";
        assert_eq!(
            s3(&[("AWS_REGION", "cn-north-1")]),
            found("cn-north-1", url)
        );
        assert_eq!(s3(&[]), Err(S3SettingsError::NoRegion));
        let bad = S3SettingsError::Region("evil.example/".to_owned());
        assert_eq!(s3(&[("AWS_REGION", "evil.example/")]), Err(bad));
    }

    #[test]
    fn an_endpoint_of_ones_own_wins() {
        let own = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/");
        let of_s3 = ("AWS_ENDPOINT_URL_S3", "https://minio.example/path");
        let of_sts = ("AWS_ENDPOINT_URL_STS", "https://sts.example");
        let region = ("AWS_REGION", "eu-west-1");
        assert_eq!(
            s3(&[own, of_sts]),
            found("us-east-1", "http://127.0.0.1:9000")
        );
        assert_eq!(
            s3(&[own, region]),
            found("eu-west-1", "http://127.0.0.1:9000")
        );
        assert_eq!(
            s3(&[own, of_s3]),
            found("us-east-1", "https://minio.example/path")
        );
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert!(
            s3(&[own, region, ignored])
                .unwrap()
                .1
                .ends_with("amazonaws.com")
        );
        for bad in ["minio:9000", "ftp://minio", "http://", "http://a/?b", "x y"] {
            let error = s3(&[("AWS_ENDPOINT_URL", bad)]).unwrap_err();
            assert!(
                error.to_string().starts_with("AWS_ENDPOINT_URL is"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_bucket_is_one_part_of_a_path() {
        for good in ["heaps", "my.heaps-1", "123"] {
            assert_eq!(check_bucket(good), Ok(()));
        }
        for bad in [
            "", "ab", "a/b", "../..", "Heaps", "heaps?", "-heaps", "heaps.", "a..b",
        ] {
            assert_eq!(
                check_bucket(bad),
                Err(S3SettingsError::Bucket(bad.to_owned()))
            );
        }
    }
}

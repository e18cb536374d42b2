//! Makes a token, and shows it.

use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::app::Tenant;
use mcp_v8::auth::NewToken;

use crate::complain;

/// Makes a token of this tenant, and shows it this once.
pub(crate) fn new_token(tenant: Tenant, is_operator: bool) -> ExitCode {
    match NewToken::make(tenant, is_operator) {
        Ok(token) => match write!(std::io::stdout(), "{token}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("mcp-v8: the token cannot be shown: {error}\n"));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            complain(&format!("mcp-v8: there are no random numbers: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

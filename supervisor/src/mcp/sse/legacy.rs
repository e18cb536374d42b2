//! A handler as clients of this transport see it: without what came after 2025-11-25.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::model::{
    ClientNotification, ClientRequest, ErrorCode, ErrorData, ProtocolVersion, ServerConfig,
    ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, Service};
use rmcp::{RoleServer, ServerHandler};

/// The same handler, for versions that begin with `initialize`.
#[derive(Debug)]
pub(super) struct Legacy<H>(pub(super) Arc<H>);

impl<H: ServerHandler> Service<RoleServer> for Legacy<H> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        // A client that asks for it then falls back to `initialize`.
        if let ClientRequest::DiscoverRequest(_) = request {
            return Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                "there is no method server/discover over HTTP+SSE: initialize instead",
                None,
            ));
        }
        self.0.handle_request(request, context).await
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.0.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        ServerHandler::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let all = ServerHandler::supported_protocol_versions(&self.0);
        let with_initialize = all.iter().filter(|version| version.has_initialize());
        with_initialize.cloned().collect()
    }
}

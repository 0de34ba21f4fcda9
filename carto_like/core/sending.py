"""Sending one signed request, as often as its retry policy says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from carto_like.core.clock import Clock
from carto_like.core.errors import ConfigurationError, SdkError, retry_after_seconds
from carto_like.core.failures import Failure, describe
from carto_like.core.log import get_logger, redact
from carto_like.core.redirects import follow
from carto_like.core.retry import Retry
from carto_like.core.streaming import Body, SourceFailed

__all__ = ["Delivery", "Outcome"]

Outcome = requests.Response | Failure | SdkError
"""An answer, the lack of one, or the reason why the request must not be sent."""

_LOG = get_logger("http")


@dataclass(frozen=True)
class Delivery:
    """One request on its way.

    Attributes:
        session: any session of requests.
        arguments: keyword arguments of its ``request``, credentials included.
        policy: what to repeat after.
        clock: where time comes from.
        secrets: texts that nothing which is said about the request may show.
    """

    session: requests.Session
    arguments: Mapping[str, Any] = field(repr=False)
    policy: Retry
    clock: Clock
    secrets: tuple[str, ...] = field(repr=False)

    def run(self) -> Outcome:
        """The answer, its address without secrets, or why there is none.

        Raises whatever the data to send raised, and nothing else: those errors are the caller's.
        """
        attempt = 0
        while True:
            attempt += 1
            outcome = self._send()
            wait = self._wait_after(outcome, attempt)
            if wait is None:
                return outcome
            if isinstance(outcome, requests.Response):
                outcome.close()
            _LOG.info("%s again in %.1f s: %s", self.arguments["method"], wait, describe(outcome))
            self.clock.sleep(wait)

    def _send(self) -> Outcome:
        started = self.clock.now()
        source_error: BaseException | None = None
        outcome: Outcome
        try:
            outcome = self._exchange()
        except requests.RequestException as error:
            outcome = Failure.of(error, self.arguments, self.secrets)
        except SourceFailed as error:
            source_error = error.original
        except SdkError as error:
            outcome = error
        except (OSError, ValueError) as error:
            # Files of certificates and timeouts are checked late, and not by requests' own errors.
            outcome = ConfigurationError(redact(str(error), self.secrets))
        # Outside of the handler, so that the caller's error keeps the context it came with.
        if source_error is not None:
            raise source_error
        self._log(outcome, self.clock.now() - started)
        return outcome

    def _exchange(self) -> requests.Response:
        arguments = self.arguments
        response = self.session.request(**{**arguments, "allow_redirects": False})
        if arguments.get("allow_redirects", True) and getattr(response, "next", None) is not None:
            sending = self.session.merge_environment_settings(
                response.url,
                dict(arguments.get("proxies") or {}),
                arguments.get("stream"),
                arguments.get("verify"),
                arguments.get("cert"),
            )
            try:
                response = follow(self.session, response, timeout=arguments["timeout"], **sending)
            except SdkError:
                response.close()
                raise
        if response.status_code >= 400:
            # Also of an answer to be streamed: a connection that breaks here is a failure like any other.
            _ = response.content
        for answer in (response, *getattr(response, "history", ())):
            # Callers show it, and so does raise_for_status().
            answer.url = redact(str(answer.url), self.secrets)
        return response

    def _wait_after(self, outcome: Outcome, attempt: int) -> float | None:
        """Seconds before the next attempt, or None when there is to be none."""
        if isinstance(outcome, SdkError):
            return None
        body, method = self.arguments.get("data"), self.arguments["method"]
        if isinstance(body, Body) and body.started and not body.replayable:
            return None
        retry_after = None
        if isinstance(outcome, Failure):
            if not (outcome.passing and self.policy.after_failure(method, unsent=outcome.unsent)):
                return None
        else:
            if not self.policy.after_status(outcome.status_code, method):
                return None
            retry_after = retry_after_seconds(outcome.headers)
            if outcome.status_code == requests.codes.too_many_requests and retry_after is None:
                return None
        return self.policy.wait(attempt, retry_after, self.clock.chance())

    def _log(self, outcome: Outcome, seconds: float) -> None:
        url = outcome.url if isinstance(outcome, requests.Response) else self.arguments["url"]
        _LOG.debug(
            "%s %s %s %.0f ms",
            self.arguments["method"],
            redact(str(url), self.secrets),
            describe(outcome),
            seconds * 1000,
        )

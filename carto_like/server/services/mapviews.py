"""A stored map as one viewer sees it: with whose rights its layers are read, and their plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carto_like.server.accounts import Account
from carto_like.server.cache import Cache
from carto_like.server.maps.cache import SingleFlight
from carto_like.server.maps.config import MapConfig, read_config
from carto_like.server.maps.problems import UNAUTHORIZED, MapProblem
from carto_like.server.maps.templates import passes
from carto_like.server.maps.tokens import Token, moment_of, unknown_map
from carto_like.server.platform import Platform
from carto_like.server.services.mapplans import Plan, plan_map
from carto_like.server.services.mapstore import Instance, MapStore


@dataclass(frozen=True)
class Viewer:
    """Who looks at an account's map.

    Attributes:
        role: of his key, or the account's public one.
        has_key: whether he showed a key.
        tokens: that he showed for maps that ask for one.
    """

    account: Account
    role: str
    has_key: bool
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A map, and the rights with which its layers are read."""

    account: Account
    map_id: str
    instance: Instance
    config: MapConfig
    role: str
    plan: Plan
    buster: int | None = None

    @property
    def version(self) -> int:
        """What the picture is a picture of: the version that was asked for, else that of now."""
        return self.plan.version if self.buster is None else self.buster

    @property
    def may_be_kept(self) -> bool:
        """Whether the same address gives the same picture, as far as the tables tell."""
        known = moment_of(self.version) <= self.plan.updated
        return bool(self.plan.tables) and self.plan.is_tracked and known

    def buffer(self, format_name: str) -> float:
        """Pixels round a tile of a format that are read, too: as the map says, or its styles.

        A style's ``Map { buffer-size }`` counts for pictures, and for vector tiles if the map says nothing.
        """
        plans = self.plan.layers.values()
        sizes = [plan.style.buffer for plan in plans if plan.style and plan.style.buffer is not None]
        if sizes and (format_name == "png" or (format_name == "mvt" and not self.config.has_buffer("mvt"))):
            return max(*sizes, 0)
        return self.config.buffer(format_name)


class MapViews:
    """Opens stored maps; what the database said a moment ago is not asked again."""

    def __init__(self, platform: Platform, store: MapStore) -> None:
        self._platform = platform
        self._store = store
        self._plans: Cache[Plan] = Cache()
        self._configs: Cache[MapConfig] = Cache()
        self._flights: SingleFlight[Plan] = SingleFlight()

    async def open(self, viewer: Viewer, token: Token) -> View:
        """The map behind a token.

        Raises:
            Problem: 400 when there is none, 403 for a viewer who may not see it, or what its SQL meets.
        """
        account = viewer.account
        if token.owner is not None and token.owner != account.name:
            text = f'Cannot use map signature of user "{token.owner}" on db of user "{account.name}"'
            raise MapProblem(403, text)
        instance = await self._store.instance(account, token.map_id)
        if instance is None:
            raise unknown_map(token.map_id)
        role = viewer.role
        if token.owner is not None and not viewer.has_key:
            if not passes(instance.auth, list(viewer.tokens)):
                raise MapProblem(403, UNAUTHORIZED, kind="auth")
            role = account.role
        return await self.view(account, token.map_id, instance, role, token.buster)

    async def view(
        self, account: Account, map_id: str, instance: Instance, role: str, buster: int | None = None
    ) -> View:
        """A map read with the rights of a role."""
        key = (account.id, map_id, role)
        config = self._configs.get(key)
        if config is None:
            config = read_config(instance.config)
            self._configs.put(key, config)
        plan = self._plans.get(key)
        if plan is None:
            roles = roles_of(config, role, account, instance.signed)
            plan = await self._flights.run(key, lambda: plan_map(self._platform, account, config, roles))
            self._plans.put(key, plan)
        return View(account, map_id, instance, config, role, plan, buster)

    async def renew(self, account: Account, map_id: str, instance: Instance, role: str) -> View:
        """:meth:`view` as the database sees it now."""
        config = read_config(instance.config)
        plan = await plan_map(
            self._platform, account, config, roles_of(config, role, account, instance.signed)
        )
        self._plans.put((account.id, map_id, role), plan)
        return View(account, map_id, instance, config, role, plan, plan.version)


def roles_of(config: MapConfig, role: str, account: Account, signed: Sequence[int]) -> Mapping[int, str]:
    """With whose rights each layer is read."""
    own = set(signed)
    return {layer.index: account.role if layer.index in own else role for layer in config.layers}

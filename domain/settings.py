"""What the processes read from their environment, checked once at start."""

from base64 import b64decode
from functools import cache
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every name is an environment variable; a missing or malformed one stops the process with its name."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    database_url: str = Field(validation_alias="DATABASE_URL")
    redis_url: str = Field(validation_alias="REDIS_URL")
    environment: Literal["development", "production"] = Field(default="production", validation_alias="LOYALNEST_ENVIRONMENT")
    documents: Literal["trusted", "any"] = Field(default="trusted", validation_alias="LOYALNEST_DOCUMENTS")
    """Whether customers and staff may send documents of their own, or only name those of our front ends (docs/adr/0026)."""
    port: int = Field(default=8000, validation_alias="LOYALNEST_PORT")
    pool_size: int = Field(default=10, ge=1, validation_alias="LOYALNEST_POOL_SIZE")
    cost_bucket: int = Field(default=1_000, ge=1_000, validation_alias="LOYALNEST_COST_BUCKET")
    """Points that a credential can spend at once; one operation may cost 1,000, so that less would shut some out for ever."""
    cost_restore_per_s: int = Field(default=100, ge=1, validation_alias="LOYALNEST_COST_RESTORE_PER_S")
    token_secret: SecretStr = Field(validation_alias="LOYALNEST_TOKEN_SECRET", min_length=32)
    master_key: SecretStr = Field(validation_alias="LOYALNEST_MASTER_KEY")
    master_key_previous: SecretStr | None = Field(default=None, validation_alias="LOYALNEST_MASTER_KEY_PREVIOUS")
    shopify_client_id: str = Field(validation_alias="LOYALNEST_SHOPIFY_CLIENT_ID")
    shopify_client_secret: SecretStr = Field(validation_alias="LOYALNEST_SHOPIFY_CLIENT_SECRET")
    shopify_client_secret_previous: SecretStr | None = Field(
        default=None, validation_alias="LOYALNEST_SHOPIFY_CLIENT_SECRET_PREVIOUS"
    )

    shopify_url: str = Field(default="https://{shop}", pattern=r"\{shop\}", validation_alias="LOYALNEST_SHOPIFY_URL")
    """Where a shop's API is; another than Shopify's own only for the local stand-in."""
    public_url: str = Field(default="", validation_alias="LOYALNEST_PUBLIC_URL")
    """Where this server is reached from outside, such as https://loyalnest.example.com: for OAuth and webhooks."""

    @field_validator("master_key", "master_key_previous")
    @classmethod
    def _thirty_two_bytes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(b64decode(value.get_secret_value(), validate=True)) != 32:
            raise ValueError("a master key must be 32 bytes in base64")
        return value

    @property
    def master_key_bytes(self) -> bytes:
        """The 32 bytes that wrap every tenant's keys."""
        return b64decode(self.master_key.get_secret_value())

    @property
    def master_key_previous_bytes(self) -> bytes | None:
        """The key that is being rotated out, if there is one."""
        previous = self.master_key_previous
        return None if previous is None else b64decode(previous.get_secret_value())

    @property
    def shopify_client_secrets(self) -> tuple[str, ...]:
        """The secrets that may have signed a webhook or a session token, the current one first."""
        secrets = (self.shopify_client_secret, self.shopify_client_secret_previous)
        return tuple(secret.get_secret_value() for secret in secrets if secret is not None)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] -- the fields come from the environment

"""`python -m services.caption`: the caption service as one process."""

from services.caption.app import SERVICE, create_app
from services.caption.settings import Settings
from services.chassis.serve import configure_logging, read_settings, serve


def main() -> None:
    settings = read_settings(Settings)
    configure_logging(SERVICE, settings.log_level)
    serve(create_app(settings), host=settings.host, port=settings.port, grace_s=settings.grace_s)


if __name__ == "__main__":
    main()

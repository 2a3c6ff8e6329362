"""`python -m services.retrieval`: the retrieval service as one process."""

from services.chassis.serve import configure_logging, read_settings, serve
from services.retrieval.app import SERVICE, create_app
from services.retrieval.settings import Settings


def main() -> None:
    settings = read_settings(Settings)
    configure_logging(SERVICE, settings.log_level)
    serve(create_app(settings), host=settings.host, port=settings.port, grace_s=settings.grace_s)


if __name__ == "__main__":
    main()

"""What the retrieval service measures beside its requests and its model."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class IndexMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.pictures = Gauge("index_pictures", "Pictures in the open index version", registry=registry)
        self.refused = Gauge("index_refused", "1 while the published version cannot be used", registry=registry)
        self.away = Gauge("index_away", "1 while the store of the index cannot be reached", registry=registry)
        self.opens = Counter("index_opens", "Index versions opened", registry=registry)

    def opened(self, pictures: int) -> None:
        self.pictures.set(pictures)
        self.refused.set(0)
        self.opens.inc()

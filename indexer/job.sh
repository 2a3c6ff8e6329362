#!/bin/sh
# What the indexer container does: index the folder of pictures that is mounted, or draw the sample gallery and index that.
set -eu
if [ -n "${IMAGES:-}" ]; then
  images=/pictures
else
  images=/gallery/Images
  python -m gallery --out /gallery --number 300 --seed 18
fi
exec python -m indexer build --images "$images" --index /index --engines /engines --exported /exported

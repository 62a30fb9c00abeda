# avssl with the versions of constraints.txt, for the CPU:
#
#   docker build -t avssl .
#   docker run --rm -v "$PWD:/data" avssl index videos/
#
# and for NVIDIA GPUs; PyTorch brings the CUDA libraries, the host needs its driver and the NVIDIA Container Toolkit:
#
#   docker build --target cuda -t avssl:cuda .
#   docker run --rm --gpus all --shm-size 2g -v "$PWD:/data" avssl:cuda train av-correspondence --data videos/
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY avssl avssl
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS base
# USER: with an unknown --user, getpass, which torch asks, would find no name.
ENV PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    USER=avssl \
    HOME=/home/avssl \
    AVSSL_CACHE=/cache
# Anybody may write the home (numba and matplotlib cache there) and the cache, for --user "$(id -u):$(id -g)".
RUN useradd --uid 1000 --create-home avssl \
    && mkdir /cache /data \
    && chown avssl:avssl /cache /data \
    && chmod 1777 /home/avssl /cache
COPY constraints.txt /constraints.txt
WORKDIR /data
EXPOSE 8765
ENTRYPOINT ["avssl"]
CMD ["--help"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --constraint /constraints.txt "$(echo /wheels/avssl-*.whl)[explore,search]"
USER 1000:1000

# The last stage is what `docker build` makes where no target is named.
FROM base AS cpu
# `--build-arg TORCH_INDEX=URL`, PyTorch's index of CPU wheels, makes the image some gigabytes smaller: of it these three
# alone; what they need comes with avssl. Without it they are those of the ordinary index.
ARG TORCH_INDEX=
RUN pip install --constraint /constraints.txt --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    torch torchvision torchaudio
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --constraint /constraints.txt "$(echo /wheels/avssl-*.whl)[explore,search]"
USER 1000:1000

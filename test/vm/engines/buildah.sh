#!/usr/bin/env bash
# buildah.sh RUNTIME: builds by buildah, whose RUN steps the runtime executes (isolation oci), of root or of an
# ordinary user. Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containers.sh"
export BUILDAH_ISOLATION=oci BUILDAH_RUNTIME=$runtime

mkdir context
echo from-context >context/file
echo hidden >secret
cat >context/Containerfile <<'FILE'
FROM localhost/box:1
ARG WORD=unset
ENV NAME=value
WORKDIR /work
COPY file copied
RUN echo "$WORD $NAME $(pwd) $(cat copied) $(id -u)" >of-root
RUN --mount=type=cache,target=/cache echo kept >/cache/file
RUN --mount=type=cache,target=/cache cp /cache/file from-cache
RUN --mount=type=secret,id=word cp /run/secrets/word from-secret
RUN --mount=type=tmpfs,target=/quick echo >/quick/file && ls /quick >from-tmpfs
RUN --mount=type=bind,source=.,target=/bound cp /bound/file from-bind
RUN chmod 777 /work && ln -s of-root link && chown guest of-root
USER guest
RUN id -un >of-guest; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status >>of-guest
FROM localhost/box:1
COPY --from=0 /work /work
RUN grep CapEff /proc/self/status >/work/capabilities
RUN ["cp", "/proc/self/uid_map", "/work/uid_map"]
CMD ["cat", "/work/of-root"]
FILE
printf 'FROM localhost/box:1\nRUN exit 3\n' >context/Failing
build=(buildah bud --runtime "$runtime" --network none --quiet)
check 'a build' 0 '.*[0-9a-f]{64}' "${build[@]}" --build-arg WORD=word --secret id=word,src=secret --tag built context
run podman run --rm built sh -c 'cd /work; head -n 9 *; ls /cache /run/secrets /quick; stat -c "%n %U" of-root; readlink link'
has 'RUN has arguments, environment, folder and files' 'word value /work from-context 0'
has 'RUN --mount=type=cache' 'kept'
has 'RUN --mount=type=secret' 'hidden'
has 'RUN --mount=type=tmpfs' 'file'
has 'RUN --mount=type=bind' 'from-context'
has 'RUN as USER' 'guest'
has 'RUN as USER has no capabilities' 'CapEff:.0000000000000000'
has 'RUN as root has the usual capabilities' 'CapEff:.00000000a80[0-9a-f]+fb'
has 'owners stay' 'of-root guest'
has 'links stay' 'of-root'
check 'mounts of RUN leave no files' 0 '' sh -c \
  "podman run --rm built sh -c 'find /cache /run/secrets /quick /bound -type f 2>/dev/null; :'"
check 'the exit status of a RUN step' 3 '.*exit status 3.*' "${build[@]}" --file context/Failing context

container=$(buildah from localhost/box:1)
buildah config --env NAME=value --workingdir /home "$container"
in_container=(buildah run --runtime "$runtime" --network none)
check 'buildah run' 5 '.*value./home.out.*' \
  "${in_container[@]}" "$container" -- sh -c 'echo "$NAME"; pwd; echo out >/out; cat /out; exit 5'
check 'buildah run keeps what it wrote, and binds volumes' 0 '.*out.from-context.guest' \
  "${in_container[@]}" --user guest --volume "$scratch/context:/context:ro" "$container" -- \
  sh -c 'cat /out /context/file; id -un'
check 'buildah run with a terminal' 0 '.*/dev/pts/0.*' \
  in_terminal "${in_container[@]}" --tty "$container" -- tty
check 'buildah run --cap-drop' 0 '.*CapEff:.00000000a80[0-9a-f]+fa.*' \
  "${in_container[@]}" --cap-drop CAP_CHOWN "$container" -- grep CapEff /proc/self/status
check 'buildah commit' 0 'out' \
  sh -c "buildah commit -q $container localhost/committed >/dev/null && podman run --rm localhost/committed cat /out"
exit "$((failures > 0))"

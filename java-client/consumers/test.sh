#!/bin/sh
# Publishes the client into a local repository of its own (build/consumer-repository), builds one consumer with Maven and
# one with Gradle against it, and runs both. Arguments go to Gradle, as -PnativeDir=DIR. Ends with one line of counts; exit 1 if one failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/../Cargo.toml" | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
repository=$root/build/consumer-repository
passed=0
failed=0

verdict() {
    if [ "$2" = 0 ] && grep -q '^consumer: UNAVAILABLE$' "$work/$1.out"; then
        passed=$((passed + 1))
        echo "consumer with $1: passed"
    else
        failed=$((failed + 1))
        echo "consumer with $1: failed"
        cat "$work/$1.out"
    fi
}

gradle --no-daemon -Dorg.gradle.daemon=false --console=plain -q -p "$root" :fastjob-client:publishToMavenLocal -Dmaven.repo.local="$repository" "$@" \
    > "$work/publish.out" 2>&1 || { cat "$work/publish.out"; exit 1; }

cp -r "$here/maven" "$work/maven"
(
    cd "$work/maven" &&
    mvn -q -B -Dmaven.repo.local="$repository" -Dfastjob.version="$version" \
        compile dependency:build-classpath -Dmdep.outputFile="$work/maven.cp" &&
    java -cp "target/classes:$(cat "$work/maven.cp")" consumer.Main
) > "$work/maven.out" 2>&1
verdict maven $?

cp -r "$here/gradle" "$work/gradle"
(
    cd "$work/gradle" &&
    gradle --no-daemon -Dorg.gradle.daemon=false --console=plain -q -Prepository="file://$repository" -PfastjobVersion="$version" runtimeClasspathText \
        > "$work/gradle.cp" &&
    java -cp "$(sed -n 's/^CLASSPATH //p' "$work/gradle.cp")" consumer.Main
) > "$work/gradle.out" 2>&1
verdict gradle $?

echo "java consumers: $passed passed, $failed failed"
[ "$failed" = 0 ]

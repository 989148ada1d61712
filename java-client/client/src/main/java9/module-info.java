/** FastJob client and worker. Everything public is in {@link io.fastjob}. */
module io.fastjob {
    requires org.slf4j;

    exports io.fastjob;
}
